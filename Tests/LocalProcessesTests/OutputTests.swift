import CloudModel
import Foundation
import Glibc
import LocalProcesses
import Testing

extension DriverTests {
    @Suite struct Output {
        @Test func rotatesUnderAChattyWriter() async throws {
            let fixture = try Fixture(settings: .init(rotationInterval: .milliseconds(20)))
            let limit = 200_000
            var service = Fixture.service([])
            service.instances = .process(
                ProcessTemplate(
                    command: ["/usr/bin/awk", "BEGIN { for (i = 1; i <= 400000; i++) printf \"line %07d\\n\", i }"],
                    outputLimit: ByteCount(bytes: Int64(limit))))
            try await fixture.start("web-1", 1, service)
            _ = try await fixture.exits.first("web-1")
            let path = fixture.driver.outputPath(of: "web-1")
            let newest = try Self.lines(path)
            let older = try Self.lines(path + ".1")
            // Each file holds lines in order without a gap: the older one the newest before the last rotation, which
            // may have come after the last line.
            #expect(Self.gaps(newest) == 0)
            #expect(Self.gaps(older) == 0)
            #expect((older + newest).last == 400_000)
            #expect(older.count * 13 <= 2 * limit)
            let gap = try newest.first.map { first in first - (try #require(older.last)) - 1 } ?? 0
            #expect(gap >= 0)
            // A few buffers of the writer at most: what it wrote between the last look and the emptying.
            #expect(gap < 2_000, "\(gap) lines lost")
            await fixture.tearDown()
        }

        private static func lines(_ path: String) throws -> [Int] {
            try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n").compactMap { line in
                line.hasPrefix("line ") && line.count == 12 ? Int(line.dropFirst(5)) : nil
            }
        }

        private static func gaps(_ numbers: [Int]) -> Int {
            zip(numbers, numbers.dropFirst()).filter { $1 != $0 + 1 }.count
        }

        @Test func keepsTheNewestWhereMoreThanTheLimitCameAtOnce() throws {
            let directory = try Fixture.makeDirectory()
            let file = OutputFile(path: directory + "/web-1.log", limit: ByteCount(bytes: 5_000))
            try Data((0..<20_000).map { UInt8($0 % 251) }).write(to: URL(fileURLWithPath: file.path))
            #expect(try file.rotateIfNeeded())
            #expect(try Data(contentsOf: URL(fileURLWithPath: file.path)).isEmpty)
            let kept = try Data(contentsOf: URL(fileURLWithPath: file.olderPath))
            #expect(kept == Data((15_000..<20_000).map { UInt8($0 % 251) }))
            #expect(try !file.rotateIfNeeded())
            try FileManager.default.removeItem(atPath: directory)
        }

        @Test func emptiesTheFileEvenWhereTheOlderCannotBeWritten() throws {
            let directory = try Fixture.makeDirectory()
            let file = OutputFile(path: directory + "/web-1.log", limit: ByteCount(bytes: 5_000))
            try Data(count: 6_000).write(to: URL(fileURLWithPath: file.path))
            // A directory in its place cannot be opened for writing.
            try FileManager.default.createDirectory(
                atPath: file.olderPath + ".part", withIntermediateDirectories: false)
            #expect(throws: SystemFailure.self) { try file.rotateIfNeeded() }
            #expect(try Data(contentsOf: URL(fileURLWithPath: file.path)).isEmpty)
            try FileManager.default.removeItem(atPath: directory)
        }

        @Test func appendsWhenAnInstanceIsStartedAgain() async throws {
            let fixture = try Fixture()
            for incarnation in 1...2 {
                try await fixture.start("web-1", incarnation, Fixture.shell("echo run \(incarnation)"))
                _ = try await fixture.exits.first("web-1", incarnation)
            }
            let lines = fixture.output(of: "web-1").split(separator: "\n")
            #expect(lines.count == 4)
            #expect(lines[0].hasPrefix("--- cloudwright: web-1 incarnation 1 port "))
            #expect(lines[1] == "run 1")
            #expect(lines[3] == "run 2")
            await fixture.tearDown()
        }

        @Test func keepsTheOutputOfTheLatestThatAreGone() async throws {
            let fixture = try Fixture(settings: .init(retainedOutputs: 3))
            try await fixture.start("lasting-1", 1, Fixture.service(["sleep", "1000"]))
            for number in 0..<6 {
                let instance = InstanceID("web-\(number)")
                try await fixture.start(instance, 1, Fixture.shell("echo up"))
                _ = try await fixture.exits.first(instance)
            }
            let directory = fixture.directory + "/instances/output"
            try await eventually("three and the running one are left") {
                try FileManager.default.contentsOfDirectory(atPath: directory).count == 4
            }
            #expect(FileManager.default.fileExists(atPath: fixture.driver.outputPath(of: "lasting-1")))
            await fixture.tearDown()
        }
    }
}
