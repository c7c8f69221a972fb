/// The kinds of declared resources, as a configuration file names them.
public enum ResourceKind: String, Codable, Hashable, Sendable, CaseIterable {
    case cloud = "Cloud"
    case service = "CloudService"
    case consumer = "CloudConsumer"
    case failoverGroup = "FailoverGroup"
    case pricePlan = "PricePlan"
    case physicalServer = "PhysicalServer"
}

/// What makes a configuration impossible: where, what, and how to mend it.
public struct ConfigurationFault: Hashable, Sendable, CustomStringConvertible {
    public var kind: ResourceKind
    /// The resource's name.
    public var name: String
    /// The field, in the words of a configuration file: `spec.routes[0].path`.
    public var path: String
    public var message: String
    public var remedy: String

    public init(kind: ResourceKind, name: String, path: String, message: String, remedy: String) {
        self.kind = kind
        self.name = name
        self.path = path
        self.message = message
        self.remedy = remedy
    }

    public var description: String { "\(kind.rawValue) '\(name)': \(path): \(message); \(remedy)" }
}

/// Collects the faults of one resource.
struct FaultCollector {
    let kind: ResourceKind
    let name: String
    private(set) var faults: [ConfigurationFault] = []

    init(_ kind: ResourceKind, _ name: String) {
        self.kind = kind
        self.name = name
    }

    mutating func fault(_ path: String, _ message: String, _ remedy: String) {
        faults.append(ConfigurationFault(kind: kind, name: name, path: path, message: message, remedy: remedy))
    }

    mutating func require(_ condition: Bool, _ path: String, _ message: @autoclosure () -> String, _ remedy: String) {
        if !condition { fault(path, message(), remedy) }
    }

    mutating func checkName(_ id: Identifier<some Any>) {
        require(
            id.isValidLabel, "metadata.name", "'\(id)' is not a name",
            "use 1 to 63 lower-case letters, digits and hyphens, a letter or digit first and last")
    }

    mutating func check(_ value: Int?, in range: ClosedRange<Int>, _ path: String) {
        guard let value, !range.contains(value) else { return }
        fault(path, "\(value) is out of range", "give \(range.lowerBound) to \(range.upperBound)")
    }

    mutating func check(_ value: TimeSpan, in range: ClosedRange<TimeSpan>, _ path: String) {
        guard !range.contains(value) else { return }
        fault(path, "\(value.text) is out of range", "give \(range.lowerBound.text) to \(range.upperBound.text)")
    }

    mutating func check(_ value: ByteCount?, in range: ClosedRange<ByteCount>, _ path: String) {
        guard let value, !range.contains(value) else { return }
        fault(path, "\(value.text) is out of range", "give \(range.lowerBound.text) to \(range.upperBound.text)")
    }

    mutating func checkAbsolutePath(_ value: String?, _ path: String) {
        guard let value else { return }
        require(
            value.hasPrefix("/") && !value.utf8.contains(0), path, "'\(value)' is not an absolute path",
            "write the whole path, from / on")
    }

    mutating func checkURL(_ url: String, _ path: String) {
        let host = url.hasPrefix("https://") ? url.dropFirst(8) : url.hasPrefix("http://") ? url.dropFirst(7) : ""
        require(
            !host.isEmpty && host.first != "/" && url.utf8.allSatisfy { (0x21...0x7E).contains($0) }, path,
            "'\(url)' is not an http or https URL", "write https://host/path")
    }

    mutating func checkChannel(_ channel: NotificationChannel, _ path: String, hasMailRelay: Bool?) {
        switch channel {
        case .log: break
        case .webhook(let url, let secretFile):
            checkURL(url, "\(path).webhook.url")
            checkAbsolutePath(secretFile, "\(path).webhook.secretFile")
        case .email(let address):
            checkMailAddress(address, "\(path).email")
            require(
                hasMailRelay ?? true, "\(path).email", "mail goes nowhere: the cloud has no mail relay",
                "add spec.smtp to the document of kind Cloud, or use another channel")
        }
    }

    /// Enough of RFC 5321 to keep a typo, and a line break that would forge a header, from the relay.
    mutating func checkMailAddress(_ address: String, _ path: String) {
        let parts = address.split(separator: "@", omittingEmptySubsequences: false)
        let isPlain = address.unicodeScalars.allSatisfy {
            $0.value > 0x20 && $0.value != 0x7F && !"<>,;\"".contains($0)
        }
        require(
            parts.count == 2 && parts.allSatisfy { !$0.isEmpty } && isPlain && address.utf8.count <= 254, path,
            "'\(address)' is not a mail address", "write name@example.org, without display name and brackets")
    }
}

extension String {
    /// Of Swift's `contains`, for one scalar.
    fileprivate func contains(_ scalar: Unicode.Scalar) -> Bool { unicodeScalars.contains(scalar) }
}
