import Foundation
import Testing

/// The platform's own program over a real hypervisor: a guest that reads the seed of the configuration, and whose
/// serial console is used through the administration API by the command line.
@Suite(
    .serialized, .lab(hosts: 1), .timeLimit(.minutes(4)),
    .enabled(if: Lab.obstacle == nil, Comment(rawValue: Lab.obstacle ?? "")))
struct ServedConsoleTests {
    @Test(.enabled(if: ServedCloud.isBuilt, "the program is not built"))
    func aConsoleThroughThePlatform() async throws {
        let address = "10.77.0.170"
        let userData = #"#cloud-config\nhostname: {instance}\n# at {address}/{prefix}\n"#
        try await ServedCloud.run(hosts: 1, address: address, options: "quiet", userData: userData) { cloud in
            #expect(
                GuestClient.get(address, "/seed/user-data", timeoutSeconds: 5)
                    == "#cloud-config\nhostname: web-1\n# at 10.77.0.170/24")
            #expect(
                GuestClient.get(address, "/seed/meta-data", timeoutSeconds: 5)
                    == "instance-id: web-1\nlocal-hostname: web-1")
            let general = ["--server", cloud.administration, "--token-file", cloud.tokenFile]
            let said = try Self.run(
                ["virtual-server", "console", "web-1", "--linger", "5"] + general,
                input: "echo $((40 + 2))-through-the-platform\n")
            #expect(said.contains("42-through-the-platform"), "\(said) \(cloud.log)")
            let events = try Self.run(["event", "list", "--kind", "virtual-server.console", "-o", "json"] + general)
            #expect(events.contains("virtual-server.console-opened"))
            #expect(events.contains("virtual-server.console-closed") && events.contains("\"bytesTyped\""))
        }
    }

    private static func run(_ arguments: [String], input: String = "") throws -> String {
        let process = Process()
        process.executableURL = URL(filePath: ServedCloud.program)
        process.arguments = arguments
        let (inward, outward) = (Pipe(), Pipe())
        process.standardInput = inward
        process.standardOutput = outward
        process.standardError = outward
        try process.run()
        try inward.fileHandleForWriting.write(contentsOf: Data(input.utf8))
        try inward.fileHandleForWriting.close()
        let output = try outward.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        return String(decoding: output, as: UTF8.self)
    }
}
