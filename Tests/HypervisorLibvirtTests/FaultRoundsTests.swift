import Foundation
import Testing

/// Random faults on real hypervisors under the platform's own program: `scripts/lab faults`, judged by what the
/// hypervisors say. `CLOUDWRIGHT_FAULT_ROUNDS=50` runs more of them.
@Suite(
    .serialized, .timeLimit(.minutes(60)), .enabled(if: Lab.obstacle == nil, Comment(rawValue: Lab.obstacle ?? "")))
struct FaultRoundsTests {
    /// Built beside the tests.
    private static let program = URL(filePath: CommandLine.arguments[0]).deletingLastPathComponent()
        .appending(path: "cloudwright").path

    @Test(.enabled(if: FileManager.default.isExecutableFile(atPath: Self.program), "the program is not built"))
    func nothingRunsTwiceAndNothingIsLost() throws {
        let rounds = ProcessInfo.processInfo.environment["CLOUDWRIGHT_FAULT_ROUNDS"] ?? "3"
        let report = try Lab.lab("faults", "--rounds", rounds, "--program", Self.program)
        print(report)
        #expect(report.contains("\(rounds) rounds without a violation"))
    }

    @Test(.enabled(if: FileManager.default.isExecutableFile(atPath: Self.program), "the program is not built"))
    func savedStandbysLeaveHostsThatAreEmptied() throws {
        let report = try Lab.lab("drain", "--program", Self.program)
        print(report)
        #expect(report.contains("the saved standby: it was on host"))
        #expect(report.contains("the active one: it was on host"))
    }
}
