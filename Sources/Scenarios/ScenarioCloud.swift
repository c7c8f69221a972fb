import CloudModel
public import ConfigurationFile
public import Foundation

/// The cloud that the scenarios run in: three services on the sample service, each for other mechanisms.
///
/// - `classic`: one consumer per instance, three instances at most (scaling listener).
/// - `shop`: three active implementations (failover active-active), and logins (audit monitor).
/// - `ledger`: one active implementation and a warm standby (failover active-passive).
public enum ScenarioCloud {
    public static let consumers = ["alice", "bob", "carol", "dave"]

    public static func document(
        sampleService: String, dataDirectory: String, gateway: String = "127.0.0.1", gatewayPort: UInt16 = 0,
        administrationPort: UInt16 = 0, loops: Int? = nil
    ) -> ConfigurationDocument {
        ConfigurationDocument(
            settings: PlatformSettings(
                name: "demo", dataDirectory: dataDirectory,
                gateway: GatewaySettings(
                    listeners: [GatewayListener(Endpoint(address: gateway, port: gatewayPort))], loops: loops),
                administration: Endpoint(address: "127.0.0.1", port: administrationPort),
                instanceLease: .seconds(5)),
            configuration: CloudConfiguration(
                services: [classic(sampleService), shop(sampleService), ledger(sampleService)],
                consumers: consumers.map {
                    CloudConsumer(
                        id: ConsumerID($0), displayName: $0.capitalized, contacts: [.log],
                        pricePlan: pricePlan?.id)
                },
                failoverGroups: [
                    FailoverGroup(id: "shop", service: "shop", mode: .activeActive),
                    FailoverGroup(
                        id: "ledger", service: "ledger", mode: .activePassive, standbys: 1, standbyReadiness: .warm),
                ], pricePlans: [pricePlan].compactMap { $0 }))
    }

    /// So dear that a minute shows on a bill. Nil only where the euro, or a number, were none.
    private static let pricePlan: PricePlan? = {
        guard let euro = Currency("EUR"), let hour = ExactDecimal("36"), let request = ExactDecimal("0.01"),
            let byte = ExactDecimal("0.00001")
        else { return nil }
        return PricePlan(
            id: "demo", currency: euro, timeZone: "Asia/Shanghai",
            prices: [
                Price(id: "hours", meter: .instanceHour, model: .perUnit(hour)),
                Price(id: "requests", meter: .request, model: .perUnit(request)),
                Price(id: "traffic", meter: .byteOut, model: .perUnit(byte)),
            ])
    }()

    /// The name by which consumers reach a service; `*.localhost` is this machine (RFC 6761, section 6.3).
    public static func host(of service: String) -> String { "\(service).localhost" }

    private static func template(_ program: String) -> InstanceSource {
        .process(
            ProcessTemplate(
                command: [program, "--port", "{port}", "--instance", "{instance}"], stopGrace: .seconds(5)))
    }

    private static let check = HealthCheck(
        probe: .http(path: "/healthz", expectedStatus: 200...299), interval: .milliseconds(500),
        fastInterval: .milliseconds(50), timeout: .milliseconds(500), rise: 1, fall: 2)

    private static let restart = RestartSettings(initialBackoff: .milliseconds(100))

    private static func classic(_ program: String) -> CloudService {
        CloudService(
            id: "classic", owner: "alice", routes: [Route(host: host(of: "classic"))],
            instances: template(program),
            constraints: WorkloadConstraints(
                minimumInstances: 1, maximumInstances: 3, activeConsumersPerInstance: 1, maximumWait: .minutes(5)),
            scaling: ScalingSettings(scaleInStabilisation: .seconds(20)), healthCheck: check, restart: restart)
    }

    private static func shop(_ program: String) -> CloudService {
        CloudService(
            id: "shop", owner: "bob", routes: [Route(host: host(of: "shop"))], access: .anonymous,
            instances: template(program),
            constraints: WorkloadConstraints(minimumInstances: 3, maximumInstances: 4),
            healthCheck: check, loadBalancing: LoadBalancingSettings(slowStart: .seconds(2)), restart: restart,
            loginRules: [
                LoginRule(
                    path: "/login", principal: .json(field: "user", secret: "password"), success: .status(200...299))
            ])
    }

    private static func ledger(_ program: String) -> CloudService {
        CloudService(
            id: "ledger", owner: "carol", routes: [Route(host: host(of: "ledger"))],
            instances: template(program),
            constraints: WorkloadConstraints(minimumInstances: 1, maximumInstances: 3), healthCheck: check,
            loadBalancing: LoadBalancingSettings(slowStart: .zero), restart: restart)
    }

    /// Writes the configuration where `cloudwright serve` reads it.
    public static func write(_ document: ConfigurationDocument, to file: URL) throws {
        try document.yaml.write(to: file, atomically: true, encoding: .utf8)
    }
}
