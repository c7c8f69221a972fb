import CloudModel
import CloudPorts
import Foundation
import Glibc
import LocalProcesses
import Testing

extension DriverTests {
    @Suite struct Start {
        @Test func givesTheInstanceItsPortNameAndACleanSurrounding() async throws {
            let fixture = try Fixture()
            let script = """
                echo "arguments: $*"; env | sort; echo "directory: $(pwd)"
                grep -E "^Sig(Blk|Ign)" /proc/self/status
                echo "input: $(readlink /proc/$$/fd/0)"; echo descriptors; ls /proc/$$/fd
                cut -d' ' -f1,5,6 /proc/$$/stat; echo done; echo trouble >&2; sleep 1000
                """
            var service = Fixture.shell(script)
            service.instances = .process(
                ProcessTemplate(
                    command: ["/bin/sh", "-c", script, "shell", "{port}:{instance}:{service}:{other}"],
                    environment: ["WHERE": "http://{instance}:{port}/", "PATH": "/bin:/usr/bin"],
                    workingDirectory: "/usr"))
            let started = try await fixture.driver.start("web-1", incarnation: 7, of: service)
            let text = try await fixture.output(of: "web-1", having: "trouble")
            let port = started.endpoint.port
            let handle = try #require(started.handle)

            #expect(started.endpoint.address == "127.0.0.1")
            #expect(text.contains("arguments: \(port):web-1:web:{other}\n"))
            #expect(text.contains("WHERE=http://web-1:\(port)/\n"))
            #expect(text.contains("CLOUDWRIGHT_INSTANCE=web-1\n"))
            #expect(text.contains("CLOUDWRIGHT_INCARNATION=7\n"))
            #expect(text.contains("CLOUDWRIGHT_PORT=\(port)\n"))
            #expect(text.contains("LANG=C.UTF-8\n"))
            let variables = text.split(separator: "\n").filter { $0.contains("=") }.map { $0.prefix { $0 != "=" } }
            #expect(
                Set(variables.map(String.init)).subtracting(["PWD", "_", "SHLVL", "OLDPWD"]) == [
                    "WHERE", "PATH", "HOME", "LANG", "CLOUDWRIGHT_INSTANCE", "CLOUDWRIGHT_INCARNATION",
                    "CLOUDWRIGHT_PORT", "CLOUDWRIGHT_CLOUD", "CLOUDWRIGHT_SERVICE",
                ])
            #expect(text.contains("directory: /usr\n"))
            #expect(text.contains("SigBlk:\t0000000000000000\n"))
            #expect(text.contains("SigIgn:\t0000000000000000\n"))
            #expect(text.contains("input: /dev/null\n"))
            let process = handle.processID
            #expect(text.contains("descriptors\n0\n1\n2\n\(process) \(process) \(process)\n"))
            #expect(ProcessTable.status(of: handle.processID)?.startTicks == handle.startTicks)
            await fixture.tearDown()
        }

        @Test func givesBackTheRunningOneWhenAskedTwice() async throws {
            let fixture = try Fixture()
            let service = Fixture.shell("sleep 1000")
            let first = try await fixture.driver.start("web-1", incarnation: 1, of: service)
            let second = try await fixture.driver.start("web-1", incarnation: 1, of: service)
            #expect(first == second)
            let processes = ProcessTable.processIDs().compactMap { ProcessTable.status(of: $0) }
            #expect(processes.filter { $0.parent == getpid() && $0.session == $0.processID && !$0.hasEnded }.count == 1)
            #expect(await fixture.driver.running() == ["web-1"])
            await fixture.tearDown()
        }

        @Test func replacesAnEarlierIncarnationAndRefusesALaterOnesPredecessor() async throws {
            let fixture = try Fixture()
            let service = Fixture.shell("sleep 1000")
            let old = try await fixture.start("web-1", 1, service)
            let new = try await fixture.start("web-1", 2, service)
            #expect(!isAlive(old))
            #expect(isAlive(new))
            #expect(try await fixture.exits.first("web-1", 1).exit.signal == SIGKILL)
            await #expect(throws: InstanceDriverError.self) {
                try await fixture.driver.start("web-1", incarnation: 1, of: service)
            }
            #expect(isAlive(new))
            await fixture.tearDown()
        }

        @Test func givesEachOfItsInstancesAPortOfItsOwn() async throws {
            let fixture = try Fixture()
            var ports: Set<UInt16> = []
            for number in 0..<20 {
                let started = try await fixture.driver.start(
                    InstanceID("web-\(number)"), incarnation: 1, of: Fixture.service(["sleep", "1000"]))
                ports.insert(started.endpoint.port)
            }
            #expect(ports.count == 20)
            await fixture.tearDown()
        }

        struct Refused: Sendable {
            var service: CloudService
            var code: InstanceDriverError.Code
            var text: String
        }

        static let refused: [Refused] = [
            Refused(service: Fixture.service([]), code: .notExecutable, text: "name the program"),
            Refused(service: Fixture.service(["/no/such"]), code: .notExecutable, text: "install the program"),
            Refused(service: Fixture.service(["no-such-program"]), code: .notExecutable, text: "in PATH (/usr/local"),
            Refused(service: Fixture.service(["/etc/passwd"]), code: .notExecutable, text: "chmod +x"),
            Refused(service: Fixture.service(["/usr"]), code: .notExecutable, text: "not a file"),
            Refused(
                service: Fixture.service(["/bin/true"], workingDirectory: "/no/such"), code: .notExecutable,
                text: "correct workingDirectory"),
            Refused(
                service: Fixture.service(["/bin/true"], environment: ["CLOUDWRIGHT_PORT": "1"]), code: .notExecutable,
                text: "choose another"),
            Refused(
                service: Fixture.service(["/bin/true"], environment: ["A=B": "1"]), code: .notExecutable,
                text: "has no \"=\""),
            Refused(service: Fixture.service(["/bin/echo", "a\u{0}b"]), code: .notExecutable, text: "zero byte"),
            Refused(service: Fixture.service(["/bin/true"], id: "../x"), code: .unsupported, text: "no valid name"),
            Refused(
                service: CloudService(
                    id: "web", routes: [], instances: .endpoints([Endpoint(address: "127.0.0.1", port: 1)])),
                code: .unsupported, text: "fixed endpoints"),
        ]

        @Test(arguments: 0..<refused.count) func saysWhyItCannotAndHowToMendIt(index: Int) async throws {
            let refused = Self.refused[index]
            let fixture = try Fixture()
            await #expect {
                try await fixture.driver.start("web-1", incarnation: 1, of: refused.service)
            } throws: { error in
                guard let error = error as? InstanceDriverError else { return false }
                return error.code == refused.code && error.message.contains(refused.text)
            }
            #expect(await fixture.driver.running().isEmpty)
            await fixture.tearDown()
        }

        @Test(arguments: ["no line", "#!/no/such\n"])
        func saysWhatIsWrongWithAScript(content: String) async throws {
            let fixture = try Fixture()
            let path = fixture.directory + "/script"
            try content.write(toFile: path, atomically: true, encoding: .utf8)
            chmod(path, 0o755)
            await #expect {
                try await fixture.driver.start("web-1", incarnation: 1, of: Fixture.service([path]))
            } throws: { error in
                guard let error = error as? InstanceDriverError else { return false }
                return error.code == .notExecutable && error.message.contains("#!")
            }
            await fixture.tearDown()
        }

        @Test func leaksNothingOver200Starts() async throws {
            let fixture = try Fixture()
            let before = (try Self.descriptors(), Self.zombies())
            for number in 0..<200 {
                try await fixture.start(InstanceID("web-\(number)"), 1, Fixture.service(["/bin/true"]))
            }
            try await eventually("all 200 end") { await fixture.driver.running().isEmpty }
            try await eventually("all 200 are told") { await fixture.exits.all.count == 200 }
            #expect(await fixture.exits.all.allSatisfy { $0.exit.code == 0 })
            #expect(Self.zombies().subtracting(before.1).isEmpty)
            #expect(try Self.descriptors() == before.0)
            await fixture.tearDown()
        }

        private static func zombies() -> Set<Int32> {
            let processes = ProcessTable.processIDs().compactMap { ProcessTable.status(of: $0) }
            return Set(processes.filter { $0.parent == getpid() && $0.hasEnded }.map(\.processID))
        }

        /// Of processes and of the instances' files: other tests of the same run open others.
        private static func descriptors() throws -> Int {
            try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").filter { name in
                let target = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\(name)")) ?? ""
                return target.contains("pidfd") || target.contains("/instances/output/") || target.contains("cgroup")
            }.count
        }

        @Test func refusesADataDirectoryThatAnotherHolds() async throws {
            let fixture = try Fixture()
            #expect {
                _ = try Fixture(directory: fixture.directory)
            } throws: { error in
                "\(error)".contains("another control plane runs")
            }
            await fixture.driver.close()
            let second = try Fixture(directory: fixture.directory)
            #expect(second.driver.cloud == fixture.driver.cloud)
            await second.tearDown()
        }
    }
}
