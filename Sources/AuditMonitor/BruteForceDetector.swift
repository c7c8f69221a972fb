public import CloudModel

/// Finds guessing in the logins as they come: many failures from one address, whoever they are for, or many failures of
/// one principal from several addresses.
///
/// One attack is one incident. It opens with the failure that reaches the threshold and closes once there was none for
/// the length of the window; only then a new one can open. A guesser at one address is told by the address alone, so
/// that it is not two incidents. The same events give the same incidents. Memory is bounded, whoever guesses.
public struct BruteForceDetector: Sendable {
    public struct Settings: Codable, Hashable, Sendable {
        /// Failures that are an attack.
        public var failures: Int
        /// The time that they lie in.
        public var window: TimeSpan

        public init(failures: Int = 10, window: TimeSpan = .minutes(10)) {
            self.failures = failures
            self.window = window
        }
    }

    /// What is counted by.
    public enum Subject: Codable, Hashable, Sendable {
        /// Logins to any service from one address (IPv6: from one /64).
        case address(String)
        /// Logins of one principal at one service.
        case principal(String, ServiceID)

        /// Tells it from all others.
        fileprivate var text: String {
            switch self {
            case .address(let address): "address/\(address)"
            case .principal(let name, let service): "principal/\(service)/\(name)"
            }
        }
    }

    /// Guessing that goes on, or has ended.
    public struct Incident: Codable, Hashable, Sendable {
        public var subject: Subject
        public var openedAt: Timestamp
        public var lastAt: Timestamp
        /// Since it opened, those that led to it included.
        public var failures: Int
        /// Services, principals and addresses that it was about: the first of each, `mostNamed` at most.
        public var services: [ServiceID]
        public var principals: [String]
        public var addresses: [String]

        public init(
            subject: Subject, openedAt: Timestamp, lastAt: Timestamp, failures: Int, services: [ServiceID],
            principals: [String], addresses: [String]
        ) {
            self.subject = subject
            self.openedAt = openedAt
            self.lastAt = lastAt
            self.failures = failures
            self.services = services
            self.principals = principals
            self.addresses = addresses
        }

        /// The same for everybody who finds it in the same events.
        public var id: String { "brute-force/\(subject.text)/\(openedAt.microseconds)" }
    }

    public enum Change: Hashable, Sendable {
        case opened(Incident)
        case closed(Incident)
    }

    public static let mostNamed = 8
    /// Addresses, and principals, that are told apart.
    static let mostSubjects = 4_096

    private struct Failure {
        var at: Timestamp
        var service: ServiceID
        var principal: String
        var address: String
    }

    public let settings: Settings
    /// The newest failures of each, as many as the threshold is.
    private var recent: [Subject: [Failure]] = [:]
    private var open: [Subject: Incident] = [:]

    /// `open`: incidents that were open when the process ended.
    public init(_ settings: Settings = Settings(), open: [Incident] = []) {
        self.settings = settings
        for incident in open { self.open[incident.subject] = incident }
    }

    /// In order of opening.
    public var openIncidents: [Incident] { open.values.sorted { ($0.openedAt, $0.id) < ($1.openedAt, $1.id) } }

    package var subjectCount: Int { recent.count }

    /// Takes the next event of the audit log. What was answered by nobody says nothing of a guess.
    public mutating func take(_ event: AuditEvent) -> [Change] {
        guard event.outcome == .failure else { return [] }
        let failure = Failure(
            at: event.receivedAt, service: event.service, principal: event.principal,
            address: SourceNetwork.of(event.sourceAddress))
        var changes = count(failure, .address(failure.address), addresses: 1)
        if !event.principal.isEmpty {
            changes += count(failure, .principal(event.principal, event.service), addresses: 2)
        }
        return changes
    }

    /// Closes what has been quiet for the length of the window.
    public mutating func advance(to now: Timestamp) -> [Change] {
        let quiet = openIncidents.filter { now - $0.lastAt >= settings.window }
        for incident in quiet {
            open[incident.subject] = nil
            recent[incident.subject] = nil
        }
        return quiet.map { .closed($0) }
    }

    private mutating func count(_ failure: Failure, _ subject: Subject, addresses: Int) -> [Change] {
        var changes: [Change] = []
        if var incident = open[subject] {
            if failure.at - incident.lastAt < settings.window {
                incident.failures += 1
                incident.lastAt = max(incident.lastAt, failure.at)
                Self.name(failure, in: &incident)
                open[subject] = incident
                return []
            }
            open[subject] = nil
            recent[subject] = nil
            changes.append(.closed(incident))
        }
        makeRoom(for: subject, at: failure.at)
        var failures = (recent[subject] ?? []).filter { failure.at - $0.at < settings.window }
        failures.append(failure)
        if failures.count > settings.failures { failures.removeFirst(failures.count - settings.failures) }
        recent[subject] = failures
        guard failures.count >= settings.failures, Set(failures.map(\.address)).count >= addresses,
            open.count < Self.mostSubjects
        else { return changes }
        var incident = Incident(
            subject: subject, openedAt: failure.at, lastAt: failure.at, failures: failures.count, services: [],
            principals: [], addresses: [])
        for failure in failures { Self.name(failure, in: &incident) }
        open[subject] = incident
        recent[subject] = nil
        return changes + [.opened(incident)]
    }

    private static func name(_ failure: Failure, in incident: inout Incident) {
        func add<Name: Equatable>(_ name: Name, _ names: inout [Name]) {
            if names.count < mostNamed, !names.contains(name) { names.append(name) }
        }
        add(failure.service, &incident.services)
        if !failure.principal.isEmpty { add(failure.principal, &incident.principals) }
        add(failure.address, &incident.addresses)
    }

    /// What has run out goes first, then the quarter that has been quiet longest: whoever guesses with many names loses
    /// the counts of its own first ones.
    private mutating func makeRoom(for subject: Subject, at now: Timestamp) {
        guard recent[subject] == nil, recent.count >= 2 * Self.mostSubjects else { return }
        recent = recent.filter { $0.value.last.map { now - $0.at < settings.window } ?? false }
        guard recent.count >= 2 * Self.mostSubjects else { return }
        // The texts decide between those of one moment, so that the same events keep the same counts.
        typealias Aged = (at: Timestamp, text: String, subject: Subject)
        var byAge: [Aged] = []
        for (subject, failures) in recent {
            byAge.append((at: failures.last?.at ?? .epoch, text: subject.text, subject: subject))
        }
        byAge.sort { (one: Aged, other: Aged) -> Bool in
            if one.at != other.at { return one.at < other.at }
            return one.text < other.text
        }
        for one in byAge.prefix(Self.mostSubjects / 2) { recent[one.subject] = nil }
    }
}
