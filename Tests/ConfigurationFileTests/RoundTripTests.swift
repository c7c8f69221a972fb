import CloudModel
import ConfigurationFile
import Foundation
import Testing

/// A document in which nothing has its default, so that every key is written and read.
enum Full {
    static let settings = PlatformSettings(
        name: "full", dataDirectory: "/data",
        gateway: GatewaySettings(
            listeners: [
                GatewayListener(Endpoint(address: "::", port: 80)),
                GatewayListener(
                    Endpoint(address: "0.0.0.0", port: 443),
                    tls: ListenerTLS(
                        certificates: [CertificateFiles(certificateFile: "/etc/c.pem", keyFile: "/etc/c.key")],
                        minimumVersion: .v13,
                        clientCertificates: ClientCertificates(authorityFile: "/etc/ca.pem", isOptional: true)),
                    proxyProtocolFrom: ["10.0.0.0/8", "fd00::/8"]),
            ], loops: 3, http2Streams: 7,
            accessLog: AccessLogSettings(target: .file("/var/log/a b.log"), format: .combined)),
        administration: Endpoint(address: "10.0.0.1", port: 9),
        mailRelay: MailRelay(
            host: "relay", port: 465, encryption: .tls, user: "yes", passwordFile: "/etc/p", from: "a@b.c"),
        instanceLease: .seconds(90), witnessFile: "/mnt/w",
        audit: AuditSettings(
            alarmFailures: 3, alarmWindow: .seconds(30), lockoutFailures: 4, lockoutDuration: .minutes(5),
            report: .weekly,
            forward: [
                AuditForwarding(name: "siem", target: .syslog(server: "[2001:db8::1]:601", tls: nil), batch: 7),
                AuditForwarding(
                    name: "vault",
                    target: .syslog(
                        server: "logs:6514",
                        tls: .init(
                            serverName: "logs.example.org", authorityFile: "/etc/ca.pem",
                            certificate: CertificateFiles(certificateFile: "/etc/c.pem", keyFile: "/etc/c.key")))),
                AuditForwarding(name: "plain", target: .syslog(server: "logs:6514", tls: .init())),
                AuditForwarding(name: "lake", target: .webhook(url: "https://h/p", tokenFile: "/etc/t")),
            ]), logDatabase: .postgres(connectionFile: "/etc/pg", lease: .seconds(20)),
        imageDirectory: "/srv/images",
        traces: TraceSettings(
            endpoint: "https://collector:4318", headersFile: "/etc/otlp", ratio: ExactDecimal("0.25") ?? .zero))

    static let service = CloudService(
        id: "web", owner: "acme", routes: [Route(host: "*.example.org", pathPrefix: "/a"), Route(pathPrefix: "/b")],
        access: .anonymous,
        instances: .process(
            ProcessTemplate(
                command: ["run", "--port={port}", "", "a b", "#x", "- y", "null", "1.10", "it's \"quoted\"", "é\n"],
                environment: ["A": "", "B": "1", "yes": "no: yes"], workingDirectory: "/w", outputLimit: .kibibytes(64),
                stopGrace: .seconds(3), limits: ResourceLimits(cpuMillicores: 250, memory: .mebibytes(64)))),
        constraints: WorkloadConstraints(
            minimumInstances: 2, maximumInstances: 7, concurrentRequestsPerInstance: 10, activeConsumersPerInstance: 4,
            consumerHold: .milliseconds(1_500), concurrentRequestsPerConsumer: 5, requestsPerSecondPerConsumer: 6,
            burstPerConsumer: 8, queueLength: 9, queueTimeout: .seconds(11), maximumWait: .seconds(12)),
        scaling: ScalingSettings(
            targetUtilisationPercent: 60, targetConcurrency: 3, scaleOutCooldown: .seconds(4),
            scaleInStabilisation: .seconds(5), tolerancePercent: 6,
            policy: ScalingPolicySettings(
                kind: .horizontal, decisionInterval: .seconds(2), startupTime: .seconds(3), missBudgetPerMille: 4,
                warmUp: .seconds(90),
                behavior: ScalingBehavior(
                    scaleUp: ScalingRules(
                        [.init(.pods, 2, period: .seconds(60)), .init(.percent, 10, period: .seconds(30))],
                        selection: .min, window: .seconds(45)),
                    scaleDown: ScalingRules(
                        ScalingRules.usualScaleDown.limits, selection: .disabled, window: .zero))),
            learns: false,
            metrics: [
                ScalingMetric(name: "jobs-waiting", targetPerInstance: 50), ScalingMetric(.processor, target: 60),
                ScalingMetric(.latency, target: 250_000, percentile: 99), ScalingMetric(.requests, target: 40),
            ],
            schedules: [
                ScalingSchedule(
                    days: [.monday, .friday], from: TimeOfDay("08:00") ?? .midnight,
                    until: TimeOfDay("18:30") ?? .midnight, minimumInstances: 3)
            ],
            watch: ScalingWatch(
                abovePercent: 90, belowPercent: 20, lasting: .minutes(6), limitForecast: .minutes(30)),
            isDryRun: true),
        healthCheck: HealthCheck(
            probe: .http(path: "/h?x=1", expectedStatus: 204...204), interval: .seconds(7),
            fastInterval: .milliseconds(80), timeout: .seconds(9), rise: 4, fall: 5),
        loadBalancing: LoadBalancingSettings(
            algorithm: .consistentHash, slowStart: .seconds(1), drainTimeout: .seconds(2)),
        restart: RestartSettings(
            initialBackoff: .milliseconds(10), maximumBackoff: .seconds(20), startTimeout: .seconds(31),
            breakerThreshold: 6, breakerPause: .seconds(7)),
        loginRules: [
            LoginRule(
                method: "PUT", path: "/a/1", principal: .basicAuthorization, success: .status(201...204),
                whenUnauditable: .refuse, lockout: .init(failures: 4, duration: .minutes(3))),
            LoginRule(
                path: "/a/2", principal: .form(field: "u", secret: "p"), success: .header(name: "x-ok", value: "1")),
            LoginRule(
                path: "/a/3", principal: .json(field: "u", secret: nil), success: .json(field: "t", value: "true")),
            LoginRule(path: "/a/4", principal: .json(field: "u", secret: "p"), success: .json(field: "t", value: nil)),
        ],
        gateway: RequestSettings(
            connectTimeout: .milliseconds(300), responseTimeout: .seconds(41), idleTimeout: .seconds(42),
            tunnelTimeout: .seconds(43), maximumRetries: 1, retryBudgetPercent: 30, maximumBodySize: .mebibytes(5),
            whenUnmeterable: .serve, accessLogOneIn: 100, instanceProtocol: .http2))

    static let fixed = CloudService(
        id: "fixed", routes: [Route(host: "::1")],
        instances: .endpoints([Endpoint(address: "10.0.0.1", port: 80), Endpoint(address: "::1", port: 80)]),
        constraints: WorkloadConstraints(maximumInstances: 2),
        gateway: RequestSettings(
            tls: InstanceTLS(
                serverName: "db.example.org", authorityFile: "/etc/db.pem",
                certificate: CertificateFiles(certificateFile: "/etc/g.pem", keyFile: "/etc/g.key")),
            proxyProtocol: .v2))

    /// Nil only where a number or currency of it were none.
    static let pricePlan: PricePlan? = {
        let texts = ["0.05", "1000", "10", "5", "0.000001", "2.5"].compactMap { ExactDecimal($0) }
        guard texts.count == 6, let yen = Currency("JPY") else { return nil }
        let tiers = [Price.Tier(upTo: texts[2], price: texts[0], flat: texts[3]), .init(upTo: nil, price: texts[4])]
        return PricePlan(
            id: "gold", displayName: "Gold: 1", currency: yen, timeZone: "Asia/Tokyo", rounding: .halfUp,
            tolerance: texts[5],
            prices: [
                Price(id: "base", meter: nil, model: .flat(texts[3]), from: Timestamp(microseconds: 1)),
                Price(id: "hours", meter: .instanceHour, service: "web", model: .perUnit(texts[0]), free: texts[2]),
                Price(id: "cpu", meter: .vcpuSecond, model: .graduated(tiers), until: Timestamp(microseconds: 9)),
                Price(id: "memory", meter: .gibHour, model: .volume(tiers)),
                Price(
                    id: "requests", meter: .request, model: .package(texts[0], size: texts[1]), minimum: texts[5]),
            ])
    }()

    static let database = CloudService(
        id: "database", routes: [], instances: .endpoints([Endpoint(address: "10.0.0.3", port: 5_432)]),
        gateway: RequestSettings(proxyProtocol: .v1),
        tcp: TCPSettings(
            listener: GatewayListener(
                Endpoint(address: "0.0.0.0", port: 5_432),
                tls: ListenerTLS(
                    certificates: [CertificateFiles(certificateFile: "/etc/d.pem", keyFile: "/etc/d.key")]),
                proxyProtocolFrom: ["10.0.0.0/8"]),
            sources: [TCPSource(network: "10.1.0.0/16", consumer: "acme")], recordInterval: .seconds(30)))

    static let virtual = CloudService(
        id: "virtual", routes: [Route(pathPrefix: "/v")],
        instances: .virtualServer(
            VirtualServerTemplate(
                flavor: VirtualServerFlavor(
                    virtualCPUs: 2, cpuMillicores: 700, memory: .mebibytes(96), maximumCpuMillicores: 1_400),
                disks: [
                    VirtualDisk(
                        path: "/d/{instance}.raw", format: .raw, image: "/i/base.qcow2", imageFormat: .qcow2,
                        size: .mebibytes(2_048), shared: false)
                ],
                bridge: "br0",
                directBoot: DirectBoot(kernel: "/k", initialRamdisk: "/r", commandLine: "ip={address}/{prefix} #1"),
                seed: CloudInitSeed(
                    userData: "#cloud-config\n", metaData: "instance-id: {instance}\n", networkConfig: "version: 2\n"),
                display: .vnc,
                addresses: AddressRange(first: 0x0A00_0001, last: 0x0A00_0009, prefixLength: 16), port: 8080,
                placement: PlacementRule(strategy: .pack, affinity: .strictlyApart, hostLabels: ["zone": "a"]),
                stopGrace: .seconds(3))),
        constraints: WorkloadConstraints(maximumInstances: 2),
        scaling: ScalingSettings(warmPool: WarmPool(instances: 1, parked: .saved), vertical: .histogram))

    static let hosts = [
        PhysicalServer(
            id: "h1", hypervisor: "qemu+tcp://10.0.0.1/system",
            capacity: ServerResources(cpuMillicores: 4_000, memory: .mebibytes(8_192)), labels: ["zone": "a"],
            maintenance: true, fencing: .command(["/usr/sbin/fence_ipmilan", "-a", "{host}"])),
        PhysicalServer(
            id: "h2", hypervisor: "qemu+ssh://root@h2/system",
            capacity: ServerResources(cpuMillicores: 2_500, memory: .mebibytes(1_000)), fencing: .lease(.seconds(45)),
            silentAfter: .seconds(9)),
    ]

    static let document = ConfigurationDocument(
        settings: settings,
        configuration: CloudConfiguration(
            services: [service, fixed, virtual, database],
            consumers: [
                CloudConsumer(
                    id: "acme", displayName: "Acme: \"Inc.\" #1",
                    contacts: [.log, .email(address: "x@y.z"), .webhook(url: "https://h/x?y=#z", secretFile: "/s")],
                    entitlements: ["web"],
                    credentials: [
                        APICredential(
                            id: "k1", kind: .certificate, prefix: "cw_1", digest: String(repeating: "a", count: 64),
                            expiresAt: Timestamp(microseconds: 1_900_000_000_000_001), revoked: true)
                    ], pricePlan: "gold",
                    budget: Budget(amount: ExactDecimal(100), thresholds: [10, 90]),
                    quota: MonthlyQuota(requests: 1_000, amount: ExactDecimal(7))),
                CloudConsumer(id: "globex", entitlements: []),
            ],
            failoverGroups: [
                FailoverGroup(
                    id: "g", service: "web", mode: .activePassive, standbys: 2, standbyReadiness: .cold,
                    recoveryAttempts: 0)
            ],
            pricePlans: [pricePlan].compactMap { $0 }, physicalServers: hosts,
            rebalancing: RebalancingSettings(
                automation: .full, interval: .seconds(31), imbalancePercent: 7, cooldown: .seconds(32),
                migrationsPerHost: 3, migrationsPerCluster: 9),
            administratorChannels: [.webhook(url: "http://h", secretFile: nil)]))
}

@Suite struct RoundTripTests {
    @Test func whatIsWrittenReadsBackAsTheSame() throws {
        let yaml = Full.document.yaml
        #expect(try ConfigurationDocument(parsing: yaml, file: "full.yaml") == Full.document, "\(yaml)")
    }

    @Test func theExampleSurvivesBeingWritten() throws {
        let text = try String(contentsOf: Sample.root.appending(path: "Examples/cloud.yaml"), encoding: .utf8)
        let document = try Sample.parse(text)
        #expect(try Sample.parse(document.yaml) == document)
    }

    @Test func defaultsAreLeftOut() throws {
        let yaml = try Sample.parse(Sample.cloud + Sample.service()).yaml
        #expect(
            yaml == """
                apiVersion: cloudwright/v1
                kind: Cloud
                metadata:
                  name: demo
                spec: {}
                ---
                apiVersion: cloudwright/v1
                kind: CloudService
                metadata:
                  name: web
                spec:
                  routes:
                  - path: /
                  process:
                    command: [run, "{port}"]

                """)
    }

    /// Every key of the reference is in the full document, but for those that say nothing.
    @Test func theWriterKnowsEveryKey() {
        let yaml = Full.document.yaml
        for section in ConfigurationSchema.sections {
            for field in section.fields where field.type != "(no value)" {
                #expect(yaml.contains("\(field.key):"), "\(section.title): \(field.key)")
            }
        }
    }
}

@Suite struct ReferenceTests {
    private let reference = Sample.root.appending(path: "docs/reference/configuration.md")

    private static func row(_ field: ConfigurationSchema.Field) -> String {
        "| `\(field.key)` | \(field.type) | \(field.defaultText) | \(field.meaning) |"
    }

    @Test func theReferenceHasEveryKeyAndNoOther() throws {
        let text = try String(contentsOf: reference, encoding: .utf8)
        let rows = text.split(separator: "\n").map(String.init).filter { $0.hasPrefix("| `") }
        #expect(rows == ConfigurationSchema.sections.flatMap { $0.fields.map(Self.row) })
        let titles = text.split(separator: "\n").map(String.init).filter { $0.hasPrefix("## ") }
        #expect(titles == ConfigurationSchema.sections.map { "## \($0.title)" })
    }

    /// A default in the reference is the one that counts.
    @Test func documentedDefaultsAreTheReadersOwn() throws {
        let text =
            Sample.cloud
            + Sample.document(
                "CloudService", "web",
                """
                routes: [{path: /}]
                process: {command: [run, "{port}"]}
                healthCheck: {http: {path: /}}
                loginRules: [{path: /l, principal: basic}]
                """)
            + Sample.service(
                "followed",
                "scaling: {targetConcurrency: 1, policy: {kind: step}, watch: {abovePercent: 90}, "
                    + "metrics: [{name: a, targetPerInstance: 1}, {metric: processor}, {metric: latency, target: 1s}]}",
                path: "/c")
            + Sample.service("other", "constraints: {maximumInstances: 2}", path: "/b")
            + Sample.document("FailoverGroup", "g", "service: other\nmode: active-passive")
            + Sample.document(
                "PricePlan", "p",
                """
                currency: EUR
                prices: [{id: a, meter: request, price: 1}, {id: b, meter: request, model: volume, tiers: [{price: 1}]}]
                """)
            + Sample.document(
                "CloudService", "vm",
                """
                routes: [{path: /v}]
                virtualServer: {memory: 64MiB, kernel: /k, addresses: 10.0.0.1-10.0.0.9, port: 80,
                  disks: [{path: "/d/{instance}"}]}
                """)
            + Sample.document(
                "CloudService", "tcp",
                "tcp: {listen: \"127.0.0.1:9\"}\naccess: anonymous\nendpoints: [\"127.0.0.1:1\"]")
            + Sample.document(
                "PhysicalServer", "h", "hypervisor: test:///h\ncapacity: {cpuMillicores: 1000, memory: 1GiB}")
        let plain = try Sample.parse(text)
        for section in ConfigurationSchema.sections {
            for field in section.fields {
                guard !["required", "none"].contains(field.defaultText) || field.key == "access" else { continue }
                guard let line = Self.place(section.title, field) else {
                    Issue.record("the test does not know how to write \(section.title): \(field.key)")
                    continue
                }
                // Written out, the default changes nothing.
                #expect(try Sample.parse(line(text)) == plain, "\(section.title): \(field.key)")
            }
        }
    }

    /// Of a section that is in no plain document: the value is read beside one that has it.
    private static func beside(
        _ section: String, _ value: String, _ end: String, at place: String = "spec: {}"
    ) -> (String) -> String {
        { text in
            let with = try? Sample.parse(
                text.replacingOccurrences(of: place, with: "\(section), \(value)\(end)"))
            let without = try? Sample.parse(text.replacingOccurrences(of: place, with: section + end))
            return with == without ? text : ""
        }
    }

    /// The same in the place of another text, where the section can be empty.
    private static func beside(
        _ section: String, _ value: String, _ end: String, in place: String
    ) -> (String) -> String {
        { text in
            let with = try? Sample.parse(text.replacingOccurrences(of: place, with: section + value + end))
            let without = try? Sample.parse(text.replacingOccurrences(of: place, with: section + end))
            return with != nil && with == without ? text : ""
        }
    }

    /// No plain document has a listener with TLS: the value is read beside one that has.
    private static func listener(_ title: String, _ value: String) -> (String) -> String {
        { text in
            func parsed(_ value: String) -> ConfigurationDocument? {
                let (all, tls, clients) = ("listeners[]", "tls", "clientCertificates")
                func added(_ place: String) -> String { title.hasSuffix(place) && !value.isEmpty ? ", \(value)" : "" }
                let spec =
                    "spec: {gateway: {listeners: [{address: \"127.0.0.1:1\", tls: {certificates: [{certificateFile: /a,"
                    + " keyFile: /b}], clientCertificates: {authorityFile: /c\(added(clients))}\(added(tls))}"
                    + "\(added(all))}]}}"
                return try? Sample.parse(text.replacingOccurrences(of: "spec: {}", with: spec))
            }
            let with = parsed(value)
            return with != nil && with == parsed("") ? text : ""
        }
    }

    /// Writes the documented default of a field into the text.
    private static func place(_ title: String, _ field: ConfigurationSchema.Field) -> ((String) -> String)? {
        let value = "\(field.key): \(field.defaultText)"
        func replace(_ text: String, _ other: String) -> (String) -> String {
            { $0.replacingOccurrences(of: text, with: other) }
        }
        let (path, service) = ("routes: [{path: /}]\n  process: {command", "loginRules: [{path: /l,")
        switch title {
        case "Cloud: spec": return replace("spec: {}", "spec: {\(value)}")
        case "Cloud: spec.gateway", "Cloud: spec.administration", "Cloud: spec.audit", "Cloud: spec.rebalancing",
            "Cloud: spec.logDatabase", "Cloud: spec.telemetry":
            return replace("spec: {}", "spec: {\(title.dropFirst(12)): {\(value)}}")
        case "Cloud: spec.gateway.listeners[]", "Cloud: spec.gateway.listeners[].tls",
            "Cloud: spec.gateway.listeners[].tls.clientCertificates":
            return listener(title, value)
        case "Cloud: spec.audit.forward[]":
            return beside("spec: {audit: {forward: [{name: a, syslog: 'h:1'", value, "}]}}")
        case "Cloud: spec.smtp": return beside("spec: {smtp: {host: h, from: a@b.c", value, "}}")
        case "Cloud: spec.telemetry.traces":
            return beside("spec: {telemetry: {traces: {endpoint: \"http://c\"", value, "}}}")
        case "Cloud: spec.gateway.accessLog": return beside("spec: {gateway: {accessLog: {target: stdout", value, "}}}")
        case "CloudService: spec.tcp": return replace("tcp: {listen", "tcp: {\(value), listen")
        case "CloudService: spec.virtualServer":
            return replace("virtualServer: {memory", "virtualServer: {\(value), memory")
        case "CloudService: spec.virtualServer.placement":
            return replace("virtualServer: {memory", "virtualServer: {placement: {\(value)}, memory")
        case "CloudService: spec.virtualServer.disks[]": return replace("[{path: \"/d", "[{\(value), path: \"/d")
        case "PhysicalServer: spec": return replace("hypervisor: test", "\(value)\n  hypervisor: test")
        case "CloudService: spec": return replace(service, "\(value)\n  \(service)")
        case "CloudService: spec.routes[]": return replace(path, path)
        case "CloudService: spec.process":
            return replace("{command: [run, \"{port}\"]}\n  h", "{\(value), command: [run, \"{port}\"]}\n  h")
        case "CloudService: spec.scaling.policy.behavior.scaleUp",
            "CloudService: spec.scaling.policy.behavior.scaleDown":
            let key = title.split(separator: ".").last ?? ""
            return beside("{kind: horizontal, behavior: {\(key): {", value, "}}}", in: "{kind: step}")
        case "CloudService: spec.scaling.policy": return replace("{kind: step}", "{kind: step, \(value)}")
        case "CloudService: spec.scaling.metrics[]":
            let metrics = [
                "metric": "{name: a", "targetPercent": "{metric: processor", "percentile": "{metric: latency",
            ]
            return metrics[field.key].map { replace($0, "{\(value), \($0.dropFirst())") }
        case "CloudService: spec.scaling.watch":
            return replace("{abovePercent: 90}", "{abovePercent: 90, \(value)}")
        case "CloudService: spec.healthCheck": return replace("{http: {path: /}}", "{\(value), http: {path: /}}")
        case "CloudService: spec.healthCheck.http": return replace("{http: {path: /}}", "{http: {path: /, \(value)}}")
        case "CloudService: spec.loginRules[]": return replace("[{path: /l,", "[{\(value), path: /l,")
        case "CloudService: spec.loginRules[].lockout":
            let rule = "principal: basic, lockout: {failures: 3"
            return beside(rule, value, "}}", at: "principal: basic}")
        case "CloudService: spec.loginRules[].success":
            return replace("principal: basic}", "principal: basic, success: {\(value)}}")
        case "CloudConsumer: spec.credentials[]", "CloudConsumer: spec.budget": return { $0 }
        case "PricePlan: spec": return replace("currency: EUR", "currency: EUR\n  \(value)")
        case "PricePlan: spec.prices[]": return replace("{id: a,", "{\(value), id: a,")
        case "PricePlan: spec.prices[].tiers[]": return replace("[{price: 1}]", "[{\(value), price: 1}]")
        case "FailoverGroup: spec": return replace("mode: active-passive", "mode: active-passive\n  \(value)")
        default:
            guard title.hasPrefix("CloudService: spec.") else { return nil }
            return replace(service, "\(title.dropFirst(19)): {\(value)}\n  \(service)")
        }
    }
}
