import CloudController
import CloudPorts
import Foundation

extension StoredIncident {
    init(_ incident: Incident) {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        // A value of strings, integers and arrays of them always has a JSON form.
        let json = (try? encoder.encode(incident)).map { String(decoding: $0, as: UTF8.self) } ?? "{}"
        self.init(id: incident.id, open: incident.closedAt == nil, json: json)
    }

    func incident() throws -> Incident {
        try JSONDecoder().decode(Incident.self, from: Data(json.utf8))
    }
}
