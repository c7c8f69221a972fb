import CloudModel
import Foundation
import Glibc
import Spool
import Testing

/// SIGKILL at a random moment: what `append` has said yes to is there afterwards.
@Suite(.serialized) struct KillTests {
    @Test(arguments: [1, 2, 3, 5, 8, 13, 21, 34, 55, 89])
    func everyAcceptedRecordSurvivesSIGKILL(milliseconds: Int) async throws {
        let scratch = ScratchDirectory()
        let path = scratch.path
        await #expect(processExitsWith: .signal(SIGKILL)) {
            [path = path as String, milliseconds = milliseconds as Int] in
            try KillTests.appendUntilKilled(path: path, milliseconds: milliseconds)
        }
        let accepted = contents(of: path + "/accepted").withUnsafeBytes { $0.load(as: UInt64.self) }
        #expect(accepted > 0)
        let directory = try SpoolDirectory(path: scratch.spool, settings: Self.settings)
        let found = try directory.drain("g/0")
        #expect(UInt64(found.count) == accepted || UInt64(found.count) == accepted + 1)
        #expect(found.keys.sorted() == Array(1...UInt64(found.count)))
        for (number, record) in found { #expect(record == usage(number)) }
        #expect(directory.takeFaults().isEmpty)
        let writer = try directory.makeWriter(source: "g/0")
        #expect(writer.nextSequence == UInt64(found.count) + 1)
    }

    static let settings = SpoolSettings(
        segmentSize: .kibibytes(64), maximumBytesPerWriter: .mebibytes(512), syncInterval: .milliseconds(2))

    /// Runs in a process of its own. The count of accepted records is kept in a mapped file, which outlives the process
    /// as the spool does.
    static func appendUntilKilled(path: String, milliseconds: Int) throws {
        let file = open(path + "/accepted", O_RDWR | O_CREAT, 0o600)
        ftruncate(file, 8)
        let counter = mmap(nil, 8, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0)!
            .assumingMemoryBound(to: UInt64.self)
        let directory = try SpoolDirectory(path: path + "/spool", settings: settings)
        let writer = try directory.makeWriter(source: "g/0")
        guard writer.append(usage(1)) else { return }
        counter.pointee = 1
        Thread.detachNewThread {
            usleep(UInt32(milliseconds) * 1_000)
            kill(getpid(), SIGKILL)
        }
        var number: UInt64 = 2
        while writer.append(usage(number)) {
            counter.pointee = number
            number += 1
        }
        while true { pause() }
    }
}
