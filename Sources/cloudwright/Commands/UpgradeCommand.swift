import ArgumentParser
import Foundation
import Glibc

/// `cloudwright upgrade`: the running platform passes itself on to the program as it is on disk now.
struct Upgrade: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Have the running platform replaced by the program that is installed now, while it serves.",
        discussion: """
            For the machine that the platform runs on, by the same user or root. The new process takes over listening \
            sockets, instances and the log database; the old one finishes the requests and connections that it has. \
            Where the new one cannot begin, the platform goes on as it was, and the reason is printed.
            """)

    @Option(help: "The file that the platform announces its addresses in (serve --announce).")
    var announce = "/run/cloudwright/addresses.json"

    @Option(help: "Seconds to wait for the new process to serve.")
    var waitSeconds: Int = 180

    func validate() throws {
        guard (1...3_600).contains(waitSeconds) else {
            throw ValidationError("--wait-seconds is \(waitSeconds); give 1 to 3600")
        }
    }

    func run() async throws {
        let former = try announced()
        guard kill(former.processID, SIGUSR2) == 0 else {
            let reason = String(cString: strerror(errno))
            throw CommandFailure(
                "process \(former.processID) of \(announce) cannot be asked (\(reason)); if the platform runs, "
                    + "be its user or root")
        }
        let deadline = ContinuousClock.now.advanced(by: .seconds(waitSeconds))
        while ContinuousClock.now < deadline {
            let now = (try? announced()) ?? former
            if now.processID != former.processID {
                Terminal.current.note(
                    "Process \(now.processID) serves; \(former.processID) finishes what it has.")
                return
            }
            if let refusal = now.refusedUpgrade, refusal.at != former.refusedUpgrade?.at {
                throw CommandFailure("the platform goes on as it was: \(refusal.reason)")
            }
            guard kill(former.processID, 0) == 0 else {
                throw CommandFailure(
                    "process \(former.processID) has ended and none has taken over; its log says why. Start the "
                        + "platform again")
            }
            try await Task.sleep(for: .milliseconds(50))
        }
        throw CommandFailure("no new process serves after \(waitSeconds) s; the platform's log says how far it is")
    }

    private func announced() throws -> Announcement {
        guard let data = FileManager.default.contents(atPath: announce),
            let announcement = try? JSONDecoder().decode(Announcement.self, from: data)
        else {
            throw CommandFailure(
                "\(announce) does not say which process serves; give the file that the platform was started with as "
                    + "--announce")
        }
        return announcement
    }
}
