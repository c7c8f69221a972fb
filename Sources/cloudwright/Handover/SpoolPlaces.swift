import CloudPorts
import ControlPlane
import Foundation
import Logging
import Spool

/// The places in the data directory where the gateway's records can wait. One process has one of them: while an old
/// process finishes its requests, the one that serves writes to another.
struct SpoolPlaces: Sendable {
    /// As many processes of one gateway there are at most: one that serves, the others finishing.
    static let count = 8

    private let data: DataDirectory

    /// What the process that serves has taken.
    let own: Int

    /// Takes the first that no process has.
    init(in data: DataDirectory) throws {
        self.data = data
        guard let free = (0..<Self.count).first(where: { !SpoolDirectory.isInUse(Self.path($0, in: data)) }) else {
            throw CommandFailure(
                "\(Self.count - 1) earlier processes still finish requests; wait until one has ended, or end one"
            )
        }
        own = free
    }

    /// Whether one more process would find a place, beside those that run now.
    static func hasRoom(in data: DataDirectory) -> Bool {
        (0..<count).contains { !SpoolDirectory.isInUse(path($0, in: data)) }
    }

    var path: String { Self.path(own, in: data) }

    /// The gateway's name in the spool's sources: each place has a name of its own, so that no two processes number in
    /// one another's place.
    func source(ofGateway name: String) -> String { own == 0 ? name : "\(name).\(own + 1)" }

    private static func path(_ place: Int, in data: DataDirectory) -> String {
        data.path(place == 0 ? "spool" : "spool-\(place + 1)")
    }

    /// The other places that have a spool.
    var others: [String] {
        (0..<Self.count).filter { $0 != own }.map { Self.path($0, in: data) }.filter {
            FileManager.default.fileExists(atPath: $0)
        }
    }
}

/// Carries the records of processes that have ended to the log database, once each has ended.
struct PredecessorSpools: Sendable {
    let places: SpoolPlaces
    let database: any LogDatabase
    let logger: Logger

    private static let pause = Duration.milliseconds(500)

    /// Until nothing is left of any, or cancelled.
    func run() async {
        var waiting = places.others
        while !waiting.isEmpty, !Task.isCancelled {
            waiting = await carry(waiting)
            if !waiting.isEmpty { try? await Task.sleep(for: Self.pause) }
        }
    }

    /// What can be carried now: for the end.
    func carryWhatIsFree() async { _ = await carry(places.others) }

    /// Those of which something is left.
    private func carry(_ paths: [String]) async -> [String] {
        var left: [String] = []
        for path in paths where await !isEmptied(path) { left.append(path) }
        return left
    }

    private func isEmptied(_ path: String) async -> Bool {
        guard !SpoolDirectory.isInUse(path) else { return false }
        do throws(SpoolError) {
            let spool = try SpoolDirectory(path: path)
            defer { spool.close() }
            let ingestion = SpoolIngestion(spool: spool, database: database, logger: logger)
            await ingestion.drain()
            return ingestion.health == "ok"
        } catch {
            logger.error(
                "Records of an earlier process wait in its spool", metadata: ["spool": "\(path)", "error": "\(error)"])
            return false
        }
    }
}
