import ArgumentParser
import ConfigurationFile
import Foundation
import Glibc
import Logging

/// `cloudwright serve`: the whole platform in one process.
struct Serve: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run the platform: gateway, control plane, administration API and log database.",
        discussion: """
            Goes on from what the data directory holds; the file is applied where it was changed since it was last \
            applied. SIGTERM and SIGINT finish the requests in flight, stop the service instances and end. SIGHUP \
            opens the access log anew and reads the gateway's certificates again.
            """)

    @Option(name: [.customShort("f"), .long], help: "The cloud's configuration (YAML).")
    var file: String

    @Option(help: "Write the bound addresses to this file (JSON) once the platform serves.")
    var announce: String?

    @Option(help: "Where to write the first administrator's token, mode 0600; without it, it is printed once.")
    var administratorTokenFile: String?

    @Flag(help: "Make the data directory's key files those of the log database, though it knows others.")
    var adoptKeys = false

    @Option(help: "How much is logged: trace, debug, info, notice, warning, error.")
    var logLevel: String = "info"

    @Option(help: "Seconds that requests in flight may take to finish at the end.")
    var drainSeconds: Int = 30

    func validate() throws {
        guard Logger.Level(rawValue: logLevel) != nil else {
            throw ValidationError("--log-level is '\(logLevel)'; give trace, debug, info, notice, warning or error")
        }
        guard (0...3_600).contains(drainSeconds) else {
            throw ValidationError("--drain-seconds is \(drainSeconds); give 0 to 3600")
        }
    }

    func run() async throws {
        LoggingSystem.bootstrap(StreamLogHandler.standardError)
        // Whoever rotates logs does not wait until there is one.
        Glibc.signal(SIGHUP, SIG_IGN)
        var logger = Logger(label: "cloudwright")
        logger.logLevel = Logger.Level(rawValue: logLevel) ?? .info
        let platform = try await Platform.start(
            PlatformOptions(
                file: URL(fileURLWithPath: file),
                announce: announce.map { URL(fileURLWithPath: $0) },
                administratorTokenFile: administratorTokenFile.map { URL(fileURLWithPath: $0) },
                drainLimit: .seconds(Int64(drainSeconds)), adoptsKeys: adoptKeys),
            logger: logger)
        let hangups = Hangups { platform.reload() }
        let signal = await TerminationSignals().next()
        hangups.ignore()
        logger.notice("Stopping", metadata: ["signal": "\(signal)"])
        await platform.stop()
    }
}

/// Runs the body at each SIGHUP, which from then on ends nothing.
private struct Hangups {
    private let source: any DispatchSourceSignal

    init(_ body: @escaping @Sendable () -> Void) {
        signal(SIGHUP, SIG_IGN)
        source = DispatchSource.makeSignalSource(signal: SIGHUP, queue: .global())
        source.setEventHandler(handler: body)
        source.resume()
    }

    func ignore() { source.cancel() }
}

/// SIGTERM and SIGINT as a value to wait for. A second one ends the process at once, as impatient people expect.
private struct TerminationSignals {
    private let stream: AsyncStream<Int32>
    private let sources: [any DispatchSourceSignal]

    init() {
        let (stream, continuation) = AsyncStream.makeStream(of: Int32.self, bufferingPolicy: .bufferingOldest(1))
        self.stream = stream
        sources = [SIGTERM, SIGINT].map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler {
                continuation.yield(number)
                signal(number, SIG_DFL)
            }
            source.resume()
            return source
        }
    }

    func next() async -> Int32 {
        for await number in stream { return number }
        return SIGTERM
    }
}
