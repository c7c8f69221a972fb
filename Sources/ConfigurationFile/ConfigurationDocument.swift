public import CloudModel
import Yams

/// What a configuration file says: how the platform runs, and the resources that it makes true.
public struct ConfigurationDocument: Hashable, Sendable {
    public var settings: PlatformSettings
    public var configuration: CloudConfiguration

    public init(settings: PlatformSettings, configuration: CloudConfiguration) {
        self.settings = settings
        self.configuration = configuration
    }

    /// Longer files are refused unread.
    public static let longestFile = ByteCount.mebibytes(4)

    /// Reads and checks the text of a file; `file` is its name in the faults. Throws all faults at once: of the form,
    /// and, where they can be told from what was read, of what the resources would mean together.
    public init(parsing text: String, file: String) throws(ConfigurationFaults) {
        guard text.utf8.count <= Self.longestFile.bytes else {
            throw ConfigurationFaults([
                FileFault(
                    file: file, line: 1, column: 1, message: "the file is longer than 4MiB",
                    remedy: "give the one YAML file that declares the cloud")
            ])
        }
        var reader = FileReader(file: file)
        reader.read(text)
        self = try reader.result()
    }
}

/// Reads the documents of one file one after the other.
private struct FileReader {
    let context: ReadingContext
    private var settings: PlatformSettings?
    private var channels: [NotificationChannel] = [.log]
    private var rebalancing = RebalancingSettings()
    private var services: [CloudService] = []
    private var consumers: [CloudConsumer] = []
    private var groups: [FailoverGroup] = []
    private var plans: [PricePlan] = []
    private var hosts: [PhysicalServer] = []
    /// Where the resource of this kind and name was declared first.
    private var declared: [String: Place] = [:]

    init(file: String) { context = ReadingContext(file: file) }

    /// Each document is parsed by itself, so that a fault of the YAML in one does not hide those of the others. `---`
    /// at the start of a line always begins a document (YAML 1.2, section 9.1.2).
    mutating func read(_ text: String) {
        var lines: [Substring] = []
        var firstLine = 0
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            if line.hasPrefix("---"), line.dropFirst(3).first.map({ $0 == " " || $0 == "\t" || $0 == "\r" }) ?? true {
                readDocument(lines.joined(separator: "\n"), firstLine: firstLine)
                lines = []
                firstLine = index
            }
            lines.append(line)
        }
        readDocument(lines.joined(separator: "\n"), firstLine: firstLine)
    }

    private mutating func readDocument(_ text: String, firstLine: Int) {
        context.beginDocument(firstLine: firstLine)
        do {
            guard let root = try compose(yaml: text), !SectionReader.isNull(root) else { return }
            readResource(root)
        } catch {
            context.fault(yaml: error)
        }
    }

    private mutating func readResource(_ root: Node) {
        guard let document = SectionReader(root, ConfigurationSchema.document, path: "", context: context) else {
            return
        }
        if let version = document.requiredText("apiVersion", remedy: "write apiVersion: cloudwright/v1"),
            version != "cloudwright/v1"
        {
            context.fault(
                "apiVersion is '\(version)', which this program does not know",
                at: document.value("apiVersion") ?? root,
                path: "apiVersion", remedy: "write apiVersion: cloudwright/v1")
        }
        let kinds = ResourceKind.allCases.map(\.rawValue).joined(separator: ", ")
        _ = document.requiredValue("kind", remedy: "write one of \(kinds)")
        let kind = document.choice("kind", ResourceKind.self)
        _ = document.requiredValue("metadata", remedy: "write metadata: {name: NAME}")
        let name = document.subsection("metadata", ConfigurationSchema.metadata)?
            .requiredText("name", remedy: "write metadata: {name: NAME}")
        _ = document.requiredValue("spec", remedy: "write spec: and below it what the resource is to be")
        guard let kind, let name, let specNode = document.value("spec") else { return }
        guard declare(kind, name, at: document) else { return }
        readSpec(kind, name, specNode)
    }

    /// False where the resource was declared before.
    private mutating func declare(_ kind: ResourceKind, _ name: String, at document: SectionReader) -> Bool {
        let place = context.place(of: document.node)
        let resource = "\(kind.rawValue)/\(name)"
        if kind == .cloud, settings != nil {
            context.fault(
                "the file has a second document of kind Cloud", at: place, path: "kind",
                remedy: "keep one: a file declares one cloud")
            return false
        }
        if let first = declared[resource] {
            context.fault(
                "\(kind.rawValue) '\(name)' is declared again (first in line \(first.line))", at: place,
                path: "metadata.name", remedy: "give it another name, or keep one of the two")
            return false
        }
        declared[resource] = place
        context.name(resource)
        return true
    }

    private mutating func readSpec(_ kind: ResourceKind, _ name: String, _ node: Node) {
        let section =
            switch kind {
            case .cloud: ConfigurationSchema.cloud
            case .service: ConfigurationSchema.service
            case .consumer: ConfigurationSchema.consumer
            case .failoverGroup: ConfigurationSchema.failoverGroup
            case .pricePlan: ConfigurationSchema.pricePlan
            case .physicalServer: ConfigurationSchema.physicalServer
            }
        guard let spec = SectionReader(node, section, path: "spec", context: context) else { return }
        switch kind {
        case .cloud:
            let reader = CloudReader(name: name, spec: spec)
            settings = reader.settings()
            channels = reader.channels()
            rebalancing = reader.rebalancing()
        case .service: services.append(ServiceReader(name: ServiceID(name), spec: spec).read())
        case .consumer: consumers.append(ConsumerReader(name: ConsumerID(name), spec: spec).read())
        case .physicalServer:
            if let host = PhysicalServerReader(name: PhysicalServerID(name), spec: spec).read() { hosts.append(host) }
        case .failoverGroup:
            if let group = FailoverGroupReader(name: FailoverGroupID(name), spec: spec).read() { groups.append(group) }
        case .pricePlan:
            if let plan = PricePlanReader(name: PricePlanID(name), spec: spec).read() { plans.append(plan) }
        }
    }

    func result() throws(ConfigurationFaults) -> ConfigurationDocument {
        let configuration = CloudConfiguration(
            services: services, consumers: consumers, failoverGroups: groups, pricePlans: plans, physicalServers: hosts,
            rebalancing: rebalancing, administratorChannels: channels)
        if settings == nil, !declared.keys.contains(where: { $0.hasPrefix("Cloud/") }) {
            context.beginDocument(firstLine: 0)
            context.fault(
                "the file has no document of kind Cloud", at: Place(line: 1, column: 1), path: "",
                remedy: "add one: apiVersion: cloudwright/v1, kind: Cloud, metadata: {name: NAME}, spec: {}")
        }
        for fault in configuration.faults(of: settings) { context.take(fault) }
        guard let settings, context.faults.isEmpty else { throw ConfigurationFaults(context.faults.sorted()) }
        return ConfigurationDocument(settings: settings, configuration: configuration)
    }
}
