import AdministrationAPI
import CloudModel
import CloudPorts
import Logging
import MerkleLog

/// What the routes do: decode, call, encode. Decisions are the control plane's.
struct Handlers: Sendable {
    let administration: any CloudAdministration
    let authenticator: Authenticator
    let lane: CommandLane
    /// Proofs of bills read the logs as a whole: one at a time, whoever asks for them.
    let proofLane = CommandLane()
    let replayLane = CommandLane()
    let hub: EventHub
    let consoles = ConsoleDesk()
    /// Nil where no folder is declared for images.
    let images: (any ImageStore)?
    let streams: StreamSlots
    let settings: AdministrationServer.Settings
    let seals: CheckpointVerifier
    let sealNow: @Sendable () async throws -> [StoredSeal]
    let metrics: @Sendable () -> String
    let traffic: @Sendable () -> [TrafficFigures]
    let now: @Sendable () -> Timestamp
    let logger: Logger

    var database: any LogDatabase { administration.logDatabase }
}

extension RouteTable {
    /// Parameters of every list that is read in parts.
    static let page: [QueryParameter] = [
        QueryParameter("cursor", .integer(0...Int64.max), "Where the list goes on: `nextCursor` of the part before."),
        limit(100),
    ]

    /// The same, of lists whose cursor is not a number.
    static let textPage: [QueryParameter] = [
        QueryParameter("cursor", "Where the list goes on: `nextCursor` of the part before, in the same order."),
        limit(100),
    ]

    static let oldest = QueryParameter("oldest", .boolean, "The oldest first instead of the newest.")

    /// Parameters of every list that has times.
    static let period: [QueryParameter] = [
        QueryParameter("from", .time, "Only what happened at this time or later."),
        QueryParameter("until", .time, "Only what happened before this time."),
    ]

    static func limit(_ usual: Int) -> QueryParameter {
        QueryParameter(
            "limit", .integer(1...Int64(API.maximumPageSize)), "So many entries at most; \(usual) if not given.")
    }
}

extension Handlers {
    /// The service's declaration; a problem where there is none.
    func service(_ call: Call) async throws -> CloudService {
        let id = ServiceID(call.placeholder("service"))
        guard let service = await administration.configuration().services.first(where: { $0.id == id }) else {
            throw API.Problem.notFound("There is no service '\(id)'; see `cloudwright service list`.")
        }
        return service
    }

    /// What the caller may see of: its own consumer where it speaks for one, otherwise whom it asks for.
    func visibleConsumer(_ call: Call) throws(API.Problem) -> ConsumerID? {
        let asked: ConsumerID? = call.query.identifier("consumer")
        guard let identity = call.identity, identity.role == .consumer else { return asked }
        // A token of this role without a consumer speaks for nobody; it must not see everybody.
        guard let own = identity.consumer else {
            throw .forbidden("The token has the role consumer but speaks for none; ask for a new one.")
        }
        if let asked, asked != own {
            throw .forbidden("This token speaks for '\(own)' and sees nothing of '\(asked)'.")
        }
        return own
    }

    /// Names the version of a resource, by its content.
    func entityTag(of value: some WireType) -> String { Self.entityTag(of: JSON.bytes(of: value)) }

    /// Refuses a change that is based on another version than the present one.
    func requireMatch(_ call: Call, _ tag: String) throws(API.Problem) {
        guard let given = call.headers["if-match"], !given.isEmpty else {
            throw .missingPrecondition(
                "Read it first, and send its ETag as If-Match, so that nobody's change is lost; '*' changes any "
                    + "version.")
        }
        let tags = given.split(separator: ",").map { $0.drop { $0 == " " } }.map { tag in
            String(tag.reversed().drop { $0 == " " }.reversed())
        }
        guard tags.contains("*") || tags.contains(tag) else {
            throw .changedMeanwhile("It was changed since it was read; read it again and repeat the change.")
        }
    }
}
