import AdministrationAPI
import AdministrationClient
import CloudModel
import Foundation
import Glibc
import LoadClient
import Scenarios
import Synchronization
import Testing

extension Scenarios {
    /// The program is replaced while consumers use it.
    @Suite struct Upgrades {
        private static let rounds = 5
        private static let curl = "/usr/bin/curl"

        private static func platform() async throws -> (UpgradedPlatform, ScenarioContext) {
            let own = try ScenarioPlatform { document in
                let certificate = certificate(beside: document.settings.dataDirectory)
                document.settings.gateway.listeners.append(
                    GatewayListener(
                        Endpoint(address: "127.0.0.1", port: 0), tls: ListenerTLS(certificates: [certificate])))
                document.configuration.services.removeAll { $0.id != "shop" }
                document.configuration.failoverGroups.removeAll { $0.service != "shop" }
            }
            try await make(certificate(beside: own.dataDirectory))
            let platform = try await UpgradedPlatform(own)
            return (platform, try await ScenarioContext(platform: platform.first))
        }

        private static func certificate(beside folder: String) -> CertificateFiles {
            CertificateFiles(certificateFile: folder + ".pem", keyFile: folder + ".key")
        }

        private static func make(_ certificate: CertificateFiles) async throws {
            let (status, _) = try await OtherProgram.run(
                "/usr/bin/openssl",
                [
                    "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-subj", "/CN=shop.localhost", "-keyout", certificate.keyFile,
                    "-out", certificate.certificateFile,
                ])
            try #require(status == 0)
        }

        /// Keep-alive and new connections, HTTP/1 and HTTP/2, a long response and an administrator, over five upgrades.
        @Test("Five upgrades under load: no failed request, every response metered once, no instance started anew")
        func noRequestFails() async throws {
            let (platform, context) = try await Self.platform()
            let before = try await context.waitUntilUp(3, of: "shop")
            let began = Timestamp(microseconds: Int64(Date().timeIntervalSince1970 * 1_000_000))
            let isOver = Mutex(false)
            let goesOn: @Sendable () -> Bool = { !isOver.withLock { $0 } && !Task.isCancelled }
            let kept = platform.own.directory.appendingPathComponent("journal-kept")
            let anew = platform.own.directory.appendingPathComponent("journal-new")
            async let keptLoads = loads(context, journal: kept, [], while: goesOn)
            async let newLoads = loads(context, journal: anew, [HTTPField("Connection", "close")], while: goesOn)
            async let http2IDs = multiplexed(context, while: goesOn)
            async let stream = streamed(context)
            async let asked = administered(context, while: goesOn)
            var processes = [platform.first.announcement.processID]
            for _ in 0..<Self.rounds {
                try await Task.sleep(for: .seconds(1))
                processes.append(try await platform.upgrade(context).processID)
            }
            let streamID = try await stream
            isOver.withLock { $0 = true }
            for report in try await keptLoads + newLoads { #expect(report.failed == 0, "\(report)") }
            var ids = try await http2IDs + [streamID]
            #expect(try await asked > Self.rounds)
            for journal in [kept, anew] {
                let lines = try String(contentsOf: journal, encoding: .utf8).split(separator: "\n")
                ids += lines.compactMap { $0.split(separator: "\t").first.map(String.init) }
            }
            #expect(Set(processes).count == Self.rounds + 1)
            try await checkBooks(context, answered: ids, since: began)
            let after = try await context.waitUntilUp(3, of: "shop")
            #expect(after.map(\.processID) == before.map(\.processID), "no instance was started anew")
            #expect(after.map(\.incarnation) == before.map(\.incarnation))
            _ = try await context.eventually("the former processes end", within: .seconds(60)) {
                processes.dropLast().allSatisfy { !UpgradedPlatform.isRunning($0) } ? true : nil
            }
            #expect(await platform.first.exitStatus() == 0)
            try await platform.stop(context)
            print("\(ids.count) responses over \(Self.rounds) upgrades")
            try FileManager.default.removeItem(at: platform.own.directory)
        }

        /// What the books have is what was answered, each once.
        private func checkBooks(_ context: ScenarioContext, answered ids: [String], since began: Timestamp) async throws
        {
            #expect(Set(ids).count == ids.count, "no response twice")
            let answered = Set(ids)
            let ended = Timestamp(microseconds: Int64(Date().timeIntervalSince1970 * 1_000_000)) + .seconds(1)
            let found = try await context.eventually("the records of \(ids.count) responses", within: .seconds(60)) {
                let found = try await booked(context, from: began, until: ended)
                return answered.isSubset(of: found) ? found : nil
            }
            #expect(Set(found).count == found.count, "no record twice")
            #expect(Set(found) == answered, "nothing is in the books that nobody got")
            for log in try await context.administration.verifyLogs() {
                #expect(log.fault == nil, "\(log.log): \(log.fault ?? "")")
            }
        }

        /// The ids of all records of a time, a part after another: one page has a thousand.
        private func booked(
            _ context: ScenarioContext, from began: Timestamp, until ended: Timestamp
        ) async throws -> [String] {
            var ids: [String] = []
            var filter = UsageFilter()
            filter.service = "shop"
            var from = began
            var span = TimeSpan.milliseconds(250)
            while from < ended {
                let until = from + span
                filter.from = from.rfc3339
                filter.until = until.rfc3339
                let part = try await context.administration.usageRecords(filter, limit: 1_000)
                guard part.count < 1_000 else {
                    span = .microseconds(span.microseconds / 2)
                    try #require(span >= .milliseconds(1))
                    continue
                }
                ids += part.map(\.requestID)
                from = until
            }
            return ids
        }

        // MARK: The load

        private func loads(
            _ context: ScenarioContext, journal: URL, _ fields: [HTTPField], while goesOn: @Sendable () -> Bool
        ) async throws -> [LoadReport] {
            var reports: [LoadReport] = []
            while goesOn() {
                var load = OpenLoopLoad(
                    try context.gateway,
                    HTTPRequest("GET", "/", fields: context.fields(of: nil, to: "shop") + fields),
                    requestsPerSecond: 100, durationMilliseconds: 2_000)
                load.connections = 16
                load.journalPath = journal.path
                reports.append(try await load.runOnOwnThread())
            }
            return reports
        }

        /// Requests that share connections of HTTP/2, over TLS: this version of curl cannot use one in clear twice.
        private func multiplexed(
            _ context: ScenarioContext, while goesOn: @Sendable () -> Bool
        ) async throws -> [String] {
            var ids: [String] = []
            while goesOn() {
                let (status, output) = try await OtherProgram.run(
                    Self.curl,
                    [
                        "--silent", "--insecure", "--http2", "--parallel", "--parallel-max", "8", "--header",
                        "Host: shop.localhost", "--output", "/dev/null", "--write-out",
                        "%{http_code} %{http_version} %header{x-request-id}\n",
                        "https://\(context.platform.announcement.gateway[1])/?[1-200]",
                    ])
                #expect(status == 0)
                let lines = output.split(separator: "\n").map { $0.split(separator: " ") }
                #expect(lines.count == 200)
                #expect(lines.allSatisfy { $0.first == "200" && $0.dropFirst().first == "2" })
                ids += lines.compactMap { $0.last.map(String.init) }
            }
            return ids
        }

        /// One response that takes longer than all the upgrades; its id.
        private func streamed(_ context: ScenarioContext) async throws -> String {
            let size = 24_000_000
            let (status, output) = try await OtherProgram.run(
                Self.curl,
                [
                    "--silent", "--limit-rate", "2M", "--header", "Host: shop.localhost", "--output", "/dev/null",
                    "--write-out", "%{http_code} %{size_download} %header{x-request-id}",
                    "http://\(try context.gateway)/bytes?n=\(size)",
                ])
            #expect(status == 0)
            let words = output.split(separator: " ").map(String.init)
            #expect(words.count == 3 && words[0] == "200" && words[1] == "\(size)", "\(output)")
            return words.last ?? ""
        }

        /// An administrator who asks again and again, on new connections; how often.
        private func administered(_ context: ScenarioContext, while goesOn: @Sendable () -> Bool) async throws -> Int {
            var count = 0
            while goesOn() {
                let (status, output) = try await OtherProgram.run(
                    Self.curl,
                    [
                        "--silent", "--output", "/dev/null", "--write-out", "%{http_code}",
                        context.platform.announcement.administration + "/healthz",
                    ])
                #expect(status == 0 && output == "200", "status \(status): \(output)")
                count += 1
            }
            return count
        }

        // MARK: What goes wrong

        @Test("A program that cannot read its configuration does not take over, and nothing has happened")
        func whoCannotBeginIsRefused() async throws {
            let (platform, context) = try await Self.platform()
            _ = try await context.waitUntilUp(3, of: "shop")
            let good = try Data(contentsOf: platform.own.configuration)
            try Data("kind: Nonsense\n".utf8).write(to: platform.own.configuration)
            let failure = await #expect(throws: ScenarioFailure.self) { _ = try await platform.upgrade(context) }
            #expect(failure?.description.contains("Nonsense") == true, "\(failure?.description ?? "")")
            #expect(try await context.call(nil, "shop", "/").status == 200)
            try good.write(to: platform.own.configuration)
            #expect(try await platform.upgrade(context).processID != platform.first.announcement.processID)
            #expect(try await context.call(nil, "shop", "/").status == 200)
            try await platform.stop(context)
            try FileManager.default.removeItem(at: platform.own.directory)
        }

        @Test("Where the new program dies when it should serve, the one that runs is started again")
        func whoDiesIsReplacedByTheOldProgram() async throws {
            let (platform, context) = try await Self.platform()
            let before = try await context.waitUntilUp(3, of: "shop")
            // Says that it can take over, waits until everything is its own, and ends.
            let script = """
                #!/usr/bin/python3
                import socket
                channel = socket.socket(fileno=3)
                channel.send(b'{"prepared":{}}')
                while b'released' not in channel.recvmsg(65536, 4096)[0]: pass
                """
            try FileManager.default.removeItem(at: platform.program)
            _ = FileManager.default.createFile(
                atPath: platform.program.path, contents: Data(script.utf8), attributes: [.posixPermissions: 0o755])
            async let load = context.load("shop", "/", perSecond: 100, milliseconds: 4_000, connections: 8)
            let now = try await platform.upgrade(context)
            #expect(now.processID != platform.first.announcement.processID)
            #expect(platform.log.contains("did not take over"))
            let report = try await load
            #expect(report.failed == 0, "\(report)")
            let after = try await context.waitUntilUp(3, of: "shop")
            #expect(after.map(\.processID) == before.map(\.processID))
            try await platform.stop(context)
            try FileManager.default.removeItem(at: platform.own.directory)
        }
    }
}
