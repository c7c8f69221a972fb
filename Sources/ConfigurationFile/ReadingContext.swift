import CloudModel
import Yams

/// A place in the file.
struct Place: Hashable {
    var line: Int
    var column: Int
}

/// What is collected while a file is read: its faults, and where each field stands.
final class ReadingContext {
    let file: String
    /// The line of the file that the document's first line is, counted from 0.
    private(set) var firstLine = 0
    private(set) var faults: [FileFault] = []
    /// By resource (`CloudService/web`) and path (`spec.routes[0].path`).
    private var places: [String: [String: Place]] = [:]
    /// Where faults were found by resource, so that no second one is reported for the same thing.
    private var faultyPaths: [String: [String]] = [:]
    /// `kind/name` of the document that is read; a stand-in until its name is known.
    private(set) var resource = ""

    init(file: String) { self.file = file }

    /// A document begins whose resource is not known yet.
    func beginDocument(firstLine: Int) {
        self.firstLine = firstLine
        resource = "line/\(firstLine)"
    }

    /// What was noted of the document so far is of this resource.
    func name(_ resource: String) {
        places[resource] = places.removeValue(forKey: self.resource)
        faultyPaths[resource] = faultyPaths.removeValue(forKey: self.resource)
        self.resource = resource
    }

    func place(of node: Node) -> Place {
        Place(line: firstLine + (node.mark?.line ?? 1), column: node.mark?.column ?? 1)
    }

    func note(_ path: String, at node: Node) { places[resource, default: [:]][path] = place(of: node) }

    func fault(_ message: String, at node: Node, path: String, remedy: String) {
        fault(message, at: place(of: node), path: path, remedy: remedy)
    }

    func fault(_ message: String, at place: Place, path: String, remedy: String) {
        faultyPaths[resource, default: []].append(path)
        faults.append(
            FileFault(file: file, line: place.line, column: place.column, message: message, remedy: remedy))
    }

    /// What the YAML parser could not read.
    func fault(yaml error: any Error) {
        func fault(_ message: String, _ mark: Mark?, _ remedy: String) {
            let place = Place(line: firstLine + (mark?.line ?? 1), column: mark?.column ?? 1)
            self.fault(message, at: place, path: "", remedy: remedy)
        }
        let syntax = "correct the YAML there; mind indentation, quotes and the space behind a colon"
        switch error as? YamlError {
        case .duplicatedKeysInMapping(let duplicates, let place):
            let keys = duplicates.map { "'\($0)'" }.joined(separator: ", ")
            fault("the key \(keys) is in the same mapping more than once", place.mark, "keep one of them")
        case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
            .composer(_, let problem, let mark, _):
            fault("not valid YAML: \(problem)", mark, syntax)
        case .reader(let problem, _, _, _): fault("not readable as UTF-8 text: \(problem)", nil, "save it as UTF-8")
        default: fault("not valid YAML", nil, syntax)
        }
    }

    /// A fault of the whole configuration, shown where its field stands, or the nearest thing around it. Left out where
    /// the field has a fault already: what was not read was not judged.
    func take(_ fault: ConfigurationFault) {
        let resource = "\(fault.kind.rawValue)/\(fault.name)"
        let known = faultyPaths[resource] ?? []
        guard !known.contains(where: { Self.contains($0, fault.path) || Self.contains(fault.path, $0) }) else { return }
        var path = fault.path
        while places[resource]?[path] == nil, !path.isEmpty {
            path = String(path.lastIndex { $0 == "." || $0 == "[" }.map { path[..<$0] } ?? "")
        }
        let place = places[resource]?[path] ?? Place(line: 1, column: 1)
        faults.append(
            FileFault(
                file: file, line: place.line, column: place.column, message: fault.message, remedy: fault.remedy))
    }

    /// Whether `inner` is `outer` or a part of it.
    private static func contains(_ outer: String, _ inner: String) -> Bool {
        guard inner.hasPrefix(outer) else { return false }
        guard let next = inner.dropFirst(outer.count).first else { return true }
        return next == "." || next == "["
    }
}

/// Finds the known key that a typo was most likely meant to be.
enum NearestKey {
    static func nearest(to key: String, among known: [String]) -> String? {
        let limit = max(1, key.count / 3)
        let ranked = known.map { (distance(key.lowercased(), $0.lowercased()), $0) }.sorted { $0 < $1 }
        return ranked.first.flatMap { $0.0 <= limit ? $0.1 : nil }
    }

    /// Optimal string alignment: insertions, deletions, substitutions, and swaps of neighbours, one each.
    private static func distance(_ left: String, _ right: String) -> Int {
        let left = Array(left.prefix(64)), right = Array(right.prefix(64))
        if left.isEmpty || right.isEmpty { return max(left.count, right.count) }
        var rows = [[Int]](repeating: Array(repeating: 0, count: right.count + 1), count: left.count + 1)
        for column in 0...right.count { rows[0][column] = column }
        for row in 1...left.count {
            rows[row][0] = row
            for column in 1...right.count {
                let substitution = left[row - 1] == right[column - 1] ? 0 : 1
                var best = min(
                    rows[row - 1][column] + 1, rows[row][column - 1] + 1, rows[row - 1][column - 1] + substitution)
                if row > 1, column > 1, left[row - 1] == right[column - 2], left[row - 2] == right[column - 1] {
                    best = min(best, rows[row - 2][column - 2] + 1)
                }
                rows[row][column] = best
            }
        }
        return rows[left.count][right.count]
    }
}
