import ArgumentParser
import ConfigurationFile
import Foundation
import Glibc
import Handover
import Logging

/// `cloudwright serve`: the whole platform in one process.
struct Serve: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run the platform: gateway, control plane, administration API and log database.",
        discussion: """
            Goes on from what the data directory holds; the file is applied where it was changed since it was last \
            applied. SIGTERM and SIGINT finish the requests in flight, stop the service instances and end. SIGHUP \
            opens the access log anew and reads the gateway's certificates again. SIGUSR2 starts the program as it \
            is on disk now and passes everything to it, without one failed request (cloudwright upgrade does both).
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

    @Option(help: "Seconds that requests and connections may take to finish after another process has taken over.")
    var upgradeDrainSeconds: Int = 120

    func validate() throws {
        guard (0...86_400).contains(upgradeDrainSeconds) else {
            throw ValidationError("--upgrade-drain-seconds is \(upgradeDrainSeconds); give 0 to 86400")
        }
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
        Glibc.signal(SIGUSR2, SIG_IGN)
        let predecessor = Predecessor.ofThisProcess()
        var logger = Logger(label: "cloudwright")
        logger.logLevel = Logger.Level(rawValue: logLevel) ?? .info
        let platform = try await Platform.start(
            PlatformOptions(
                file: URL(fileURLWithPath: file),
                announce: announce.map { URL(fileURLWithPath: $0) },
                administratorTokenFile: administratorTokenFile.map { URL(fileURLWithPath: $0) },
                drainLimit: .seconds(Int64(drainSeconds)), adoptsKeys: adoptKeys,
                upgradeDrainLimit: .seconds(Int64(upgradeDrainSeconds))),
            takingOverFrom: predecessor, logger: logger)
        let hangups = Hangups { platform.reload() }
        let signals = ProcessSignals()
        while true {
            let signal = await signals.next()
            if signal == SIGUSR2 {
                switch await platform.handOver() {
                case .done: return
                case .refused(let reason):
                    logger.error(
                        "The platform is not handed over; it goes on as it was", metadata: ["reason": "\(reason)"])
                    try platform.announce(refusedUpgrade: reason)
                    continue
                case .failed(let reason):
                    throw CommandFailure("no process could take over (\(reason)); start the platform again")
                }
            }
            hangups.ignore()
            logger.notice("Stopping", metadata: ["signal": "\(signal)"])
            await platform.stop()
            return
        }
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

/// SIGTERM, SIGINT and SIGUSR2 as values to wait for. A second one of the first two ends the process at once, as
/// impatient people expect.
private struct ProcessSignals {
    private let stream: AsyncStream<Int32>
    private let sources: [any DispatchSourceSignal]

    init() {
        let (stream, continuation) = AsyncStream.makeStream(of: Int32.self, bufferingPolicy: .bufferingNewest(4))
        self.stream = stream
        sources = [SIGTERM, SIGINT, SIGUSR2].map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler {
                continuation.yield(number)
                if number != SIGUSR2 { signal(number, SIG_DFL) }
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
