import ArgumentParser
@preconcurrency import Glibc
import Foundation
import Scenarios

/// `scripts/demo` behind the build: starts the platform with the sample service and shows the mechanisms at work.
@main
struct Tour: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tour", abstract: "Show each mechanism of a running cloud, step by step, with real traffic.")

    @Flag(help: "End after the tour; the exit code tells whether every step happened.")
    var once = false

    @Option(help: "Where the platform keeps its data; it must be empty or missing.")
    var directory: String = "var/demo"

    @Option(help: "The gateway's port; 0 takes a free one.")
    var gatewayPort: UInt16 = 8080

    @Option(help: "The administration API's port; 0 takes a free one.")
    var administrationPort: UInt16 = 8081

    func run() async throws {
        // A line is shown when it is written, also where the output is a pipe.
        setvbuf(stdout, nil, _IOLBF, 0)
        let programs = URL(fileURLWithPath: CommandLine.arguments[0]).resolvingSymlinksInPath()
            .deletingLastPathComponent()
        let root = URL(fileURLWithPath: directory)
        try? FileManager.default.removeItem(at: root)
        try FileManager.default.createDirectory(at: root, withIntermediateDirectories: true)
        let configuration = root.appendingPathComponent("cloud.yaml")
        try ScenarioCloud.write(
            ScenarioCloud.document(
                sampleService: programs.appendingPathComponent("sample-service").path,
                dataDirectory: root.appendingPathComponent("data").path, gatewayPort: gatewayPort,
                administrationPort: administrationPort),
            to: configuration)
        let platform = try await PlatformProcess.start(
            binary: programs.appendingPathComponent("cloudwright"), configuration: configuration, directory: root)
        do {
            try await show(platform)
        } catch {
            await platform.stop()
            print("\nThe tour stopped: \(error)")
            throw ExitCode(1)
        }
        if !once { await stayUp(platform, programs: programs, root: root) }
        let status = await platform.stop()
        if status != 0 { throw ExitCode(1) }
    }

    private func show(_ platform: PlatformProcess) async throws {
        let context = try await ScenarioContext(platform: platform) { print("  \($0)") }
        heading("S1  Automated scaling listener")
        let first = try await S1AutomatedScalingListener().run(in: context)
        print(first.timeline.text)
        heading("S2  Pay-per-use monitor, resource agent")
        print(try await S2ResourceAgent().run(in: context).text)
        heading("S3  Pay-per-use monitor, monitoring agent")
        print(try await S3MonitoringAgent().run(in: context).timeline.text)
        heading("The bill of what both agents metered")
        print(context.text(of: try await PayPerUseBill().run(in: context).bill))
        heading("S4  Audit monitor")
        print(try await S4AuditMonitor().run(in: context).timeline.text)
        heading("S5  Failover system, active-active")
        let fifth = try await S5FailoverActiveActive().run(in: context)
        try context.expect(fifth.load.failed == 0, "no failed request, not \(fifth.load.failed)")
        print(fifth.timeline.text)
        heading("S6  Failover system, active-passive")
        print(try await S6FailoverActivePassive().run(in: context).timeline.text)
        heading("The books: both agents of the pay-per-use monitor, side by side")
        print(try await context.usageText())
        heading("The audit report")
        print(try await context.auditText())
    }

    private func heading(_ text: String) { print("\n\(text)\n\(String(repeating: "-", count: text.count))") }

    /// Until the terminal's owner has seen enough.
    private func stayUp(_ platform: PlatformProcess, programs: URL, root: URL) async {
        let gateway = platform.announcement.gateway.first ?? ""
        let server = platform.announcement.administration
        let tokenFile = root.appendingPathComponent("administrator-token").path
        let binary = programs.appendingPathComponent("cloudwright").path
        print(
            """

            The platform stays up. In another terminal:
              export CLOUDWRIGHT_SERVER=\(server) CLOUDWRIGHT_TOKEN=$(cat \(tokenFile))
              alias cloudwright=\(binary)
              curl -H 'Host: shop.localhost' http://\(gateway)/
              cloudwright service list
              cloudwright timeline --service shop
              cloudwright usage report
              cloudwright bill show bob
              cloudwright reconcile
              cloudwright audit report --ranking
              cloudwright constraint set classic maximum-instances 5
            Its configuration is \(root.appendingPathComponent("cloud.yaml").path). Ctrl-C ends it.
            """)
        let signals = [SIGINT, SIGTERM].map { number in
            signal(number, SIG_IGN)
            return DispatchSource.makeSignalSource(signal: number, queue: .global())
        }
        await withCheckedContinuation { continuation in
            let once = OneTime { continuation.resume() }
            for source in signals {
                source.setEventHandler { once.run() }
                source.resume()
            }
            Task {
                _ = await platform.exitStatus()
                once.run()
            }
        }
    }
}
