import Foundation
import Testing

private enum FaultRounds {
    static let count = max(1, Int(ProcessInfo.processInfo.environment["CLOUDWRIGHT_FAULT_ROUNDS"] ?? "") ?? 3)
}

/// Random faults on real hypervisors under the platform's own program: `scripts/lab faults`, judged by what the
/// hypervisors say. `CLOUDWRIGHT_FAULT_ROUNDS=50` runs more of them: each takes half a minute on an idle machine, a
/// minute on a busy one.
@Suite(
    .serialized, .timeLimit(.minutes(20 + 3 * FaultRounds.count)),
    .enabled(if: Lab.obstacle == nil, Comment(rawValue: Lab.obstacle ?? "")))
struct FaultRoundsTests {
    /// Built beside the tests.
    private static let program = URL(filePath: CommandLine.arguments[0]).deletingLastPathComponent()
        .appending(path: "cloudwright").path

    @Test(.enabled(if: FileManager.default.isExecutableFile(atPath: Self.program), "the program is not built"))
    func nothingRunsTwiceAndNothingIsLost() throws {
        let report = try Lab.lab("faults", "--rounds", String(FaultRounds.count), "--program", Self.program)
        print(report)
        #expect(report.contains("\(FaultRounds.count) rounds without a violation"))
    }

    @Test(.enabled(if: FileManager.default.isExecutableFile(atPath: Self.program), "the program is not built"))
    func savedStandbysLeaveHostsThatAreEmptied() throws {
        let report = try Lab.lab("drain", "--program", Self.program)
        print(report)
        #expect(report.contains("the saved standby: it was on host"))
        #expect(report.contains("the active one: it was on host"))
    }
}
