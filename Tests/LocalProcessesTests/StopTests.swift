import CloudModel
import CloudPorts
import Foundation
import Glibc
import LocalProcesses
import Testing

extension DriverTests {
    @Suite struct Stop {
        @Test func seesExitCodeAndSignal() async throws {
            let fixture = try Fixture()
            try await fixture.start("coded-1", 3, Fixture.shell("exit 42"))
            let killed = try await fixture.start("killed-1", 1, Fixture.shell("sleep 1000"))
            kill(killed, SIGSEGV)
            let coded = try await fixture.exits.first("coded-1", 3).exit
            #expect(coded == InstanceExit(instance: "coded-1", incarnation: 3, code: 42))
            let signalled = try await fixture.exits.first("killed-1").exit
            #expect(signalled == InstanceExit(instance: "killed-1", incarnation: 1, signal: SIGSEGV))
            #expect(await fixture.driver.running().isEmpty)
            await fixture.tearDown()
        }

        @Test func noticesAnExitAtOnce() async throws {
            let fixture = try Fixture()
            var delays: [Duration] = []
            for number in 0..<9 {
                let instance = InstanceID("web-\(number)")
                let process = try await fixture.start(instance, 1, Fixture.service(["sleep", "1000"]))
                let killedAt = ContinuousClock.now
                kill(process, SIGKILL)
                delays.append(try await fixture.exits.first(instance).at - killedAt)
            }
            // The median: the machine may be busy with something else for a moment.
            #expect(delays.sorted()[4] < .milliseconds(100), "\(delays)")
            await fixture.tearDown()
        }

        @Test func asksToEndAndReportsTheAnswer() async throws {
            let fixture = try Fixture()
            try await fixture.start(
                "web-1", 1, Fixture.shell("trap 'echo bye; exit 5' TERM; echo up; while :; do sleep 0.01; done"))
            try await fixture.output(of: "web-1", having: "up\n")
            await fixture.driver.stop("web-1", incarnation: 1, grace: .seconds(10))
            let exit = try await fixture.exits.first("web-1").exit
            #expect(exit.code == 5)
            #expect(fixture.output(of: "web-1").contains("bye"))
            await fixture.tearDown()
        }

        @Test func wakesOneThatIsHaltedBySignal() async throws {
            let fixture = try Fixture()
            // One that handles SIGTERM: the kernel itself ends those that do not, halted or not.
            let script = "trap 'exit 5' TERM; echo up; while :; do sleep 0.01; done"
            let process = try await fixture.start("web-1", 1, Fixture.shell(script))
            try await fixture.output(of: "web-1", having: "up\n")
            kill(process, SIGSTOP)
            await fixture.driver.stop("web-1", incarnation: 1, grace: .seconds(60))
            #expect(try await fixture.exits.first("web-1").exit.code == 5)
            await fixture.tearDown()
        }

        @Test func aSecondStopShortensTheGraceOfMembersToo() async throws {
            let fixture = try Fixture()
            let script = """
                sh -c 'trap "" TERM; echo member $$; while :; do sleep 0.01; done' &
                trap 'echo leaving; exit 0' TERM; while :; do sleep 0.01; done
                """
            try await fixture.start("web-1", 1, Fixture.shell(script))
            let member = try await Self.processID(in: fixture, of: "web-1", after: "member ")
            await fixture.driver.stop("web-1", incarnation: 1, grace: .hours(1))
            try await fixture.output(of: "web-1", having: "leaving")
            #expect(await fixture.driver.running() == ["web-1"])
            await fixture.driver.stop("web-1", incarnation: 1, grace: .zero)
            _ = try await fixture.exits.first("web-1")
            try await eventually("the member is gone") { !isAlive(member) }
            await fixture.tearDown()
        }

        @Test func killsWhenTheGraceHasRunOut() async throws {
            let fixture = try Fixture()
            try await fixture.start("web-1", 1, Fixture.shell("trap '' TERM; echo up; while :; do sleep 0.01; done"))
            try await fixture.output(of: "web-1", having: "up\n")
            let asked = ContinuousClock.now
            await fixture.driver.stop("web-1", incarnation: 1, grace: .milliseconds(300))
            let end = try await fixture.exits.first("web-1")
            #expect(end.exit.signal == SIGKILL)
            #expect(end.at - asked >= .milliseconds(300))
            await fixture.tearDown()
        }

        @Test func aSecondStopShortensTheGrace() async throws {
            let fixture = try Fixture()
            try await fixture.start("web-1", 1, Fixture.shell("trap '' TERM; echo up; while :; do sleep 0.01; done"))
            try await fixture.output(of: "web-1", having: "up\n")
            await fixture.driver.stop("web-1", incarnation: 1, grace: .hours(1))
            await fixture.driver.stop("web-1", incarnation: 1, grace: .zero)
            #expect(try await fixture.exits.first("web-1").exit.signal == SIGKILL)
            await fixture.tearDown()
        }

        @Test func killsMembersThatOutliveTheirLeader() async throws {
            let fixture = try Fixture()
            let script = """
                sh -c 'trap "" TERM; echo member $$; while :; do sleep 0.01; done' &
                trap 'exit 0' TERM; while :; do sleep 0.01; done
                """
            try await fixture.start("web-1", 1, Fixture.shell(script))
            let member = try await Self.processID(in: fixture, of: "web-1", after: "member ")
            await fixture.driver.stop("web-1", incarnation: 1, grace: .milliseconds(300))
            let end = try await fixture.exits.first("web-1")
            #expect(end.exit.code == 0)
            try await eventually("the member is gone") { !isAlive(member) }
            await fixture.tearDown()
        }

        @Test func givesMembersTheRestOfTheGrace() async throws {
            let fixture = try Fixture()
            let script = """
                sh -c 'trap "sleep 0.2; echo finished; exit 0" TERM; echo member $$; while :; do sleep 0.01; done' &
                trap 'exit 0' TERM; while :; do sleep 0.01; done
                """
            try await fixture.start("web-1", 1, Fixture.shell(script))
            _ = try await Self.processID(in: fixture, of: "web-1", after: "member ")
            await fixture.driver.stop("web-1", incarnation: 1, grace: .seconds(60))
            _ = try await fixture.exits.first("web-1")
            #expect(fixture.output(of: "web-1").contains("finished"))
            await fixture.tearDown()
        }

        @Test func endsTheRestOfAFailedInstance() async throws {
            let fixture = try Fixture()
            let script = """
                sh -c 'echo member $$; while :; do sleep 0.01; done' &
                setsid sh -c 'echo stray $$; while :; do sleep 0.01; done' &
                while :; do sleep 0.01; done
                """
            let leader = try await fixture.start("web-1", 1, Fixture.shell(script))
            let member = try await Self.processID(in: fixture, of: "web-1", after: "member ")
            let stray = try await Self.processID(in: fixture, of: "web-1", after: "stray ")
            kill(leader, SIGKILL)
            #expect(try await fixture.exits.first("web-1").exit.signal == SIGKILL)
            try await eventually("member and stray are gone") { !isAlive(member) && !isAlive(stray) }
            await fixture.tearDown()
        }

        @Test func reportsOneThatIsUnknownAsGone() async throws {
            let fixture = try Fixture()
            await fixture.driver.stop("web-9", incarnation: 4, grace: .seconds(1))
            #expect(try await fixture.exits.first("web-9", 4).exit == InstanceExit(instance: "web-9", incarnation: 4))
            let process = try await fixture.start("web-1", 2, Fixture.service(["sleep", "1000"]))
            await fixture.driver.stop("web-1", incarnation: 1, grace: .zero)
            _ = try await fixture.exits.first("web-1", 1)
            #expect(isAlive(process))
            await fixture.tearDown()
        }

        @Test func reportsEachEndOnce() async throws {
            let fixture = try Fixture()
            for number in 0..<20 {
                let instance = InstanceID("web-\(number)")
                let process = try await fixture.start(instance, 1, Fixture.service(["sleep", "1000"]))
                // Failing and being asked to end at the same time.
                kill(process, SIGKILL)
                await fixture.driver.stop(instance, incarnation: 1, grace: .zero)
                await fixture.driver.stop("end-\(number)".asInstance, incarnation: 1, grace: .zero)
                _ = try await fixture.exits.first(instance)
            }
            for number in 0..<20 {
                _ = try await fixture.exits.first("end-\(number)".asInstance)
                let instance = InstanceID("web-\(number)")
                let told = await fixture.exits.all.filter { $0.exit.instance == instance }
                // The stop may have come after the end: then it is answered with "gone", which knows no status.
                #expect(told.filter { $0.exit.signal != nil }.count == 1)
                #expect(told.count <= 2)
            }
            await fixture.tearDown()
        }

        static func processID(
            in fixture: Fixture, of instance: InstanceID, after mark: String
        ) async throws -> Int32 {
            var found: Int32?
            try await eventually("\(instance) tells \(mark)") {
                let text = fixture.output(of: instance)
                guard let range = text.range(of: mark), let end = text[range.upperBound...].firstIndex(of: "\n") else {
                    return false
                }
                found = Int32(text[range.upperBound..<end])
                return found != nil
            }
            return try #require(found)
        }
    }
}

extension String {
    fileprivate var asInstance: InstanceID { InstanceID(self) }
}
