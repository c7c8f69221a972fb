import AdministrationClient
import ArgumentParser
import Foundation
import Glibc

/// The serial console of a virtual server in the caller's terminal.
struct VirtualServerConsoleCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "console", abstract: "Use the serial console of a virtual server.",
        discussion: """
            What is typed goes to the virtual server as it is, Ctrl-C too; Ctrl-] ends the session. One session at a \
            time is possible. Opening and closing are in the event log; what is typed and said is not. Where the input \
            is no terminal it is sent as it comes, and at its end the console stays open for --linger seconds.
            """)
    @Argument(help: "The instance's name.") var instance: String
    @Flag(help: "End the session of whoever has the console open; they are told by whom.") var takeOver = false
    @Option(help: ArgumentHelp("How long to listen after the input's end.", valueName: "seconds")) var linger = 2
    @OptionGroup var options: GlobalOptions

    func validate() throws {
        guard (0...86_400).contains(linger) else { throw ValidationError("--linger must be from 0 to 86400 seconds.") }
    }

    func run() async throws {
        let connection = try options.client().openConsole(instance, takingOver: takeOver)
        Terminal.current.progress("The console of \(instance) is open; Ctrl-] closes it.")
        let raw = RawTerminal(STDIN_FILENO)
        defer { raw?.restore() }
        var session = ConsoleTalk(connection, linger: linger, hasEscape: raw != nil)
        let ending = try session.run()
        raw?.restore()
        Terminal.current.progress("\nThe console of \(instance) is closed\(ending.map { ": \($0)" } ?? "").")
    }
}

/// Carries octets between standard input and output and a console.
private struct ConsoleTalk {
    /// Ctrl-], as telnet and virsh have it.
    private static let escape: UInt8 = 0x1D

    private let connection: ConsoleConnection
    private let linger: Int
    private let hasEscape: Bool
    private var inputEnd: Date?

    init(_ connection: ConsoleConnection, linger: Int, hasEscape: Bool) {
        self.connection = connection
        self.linger = linger
        self.hasEscape = hasEscape
    }

    /// Why the other side ended it; nil where it was ended here.
    mutating func run() throws -> String? {
        while true {
            while let received = try connection.receive() {
                switch received {
                case .said(let bytes): Self.write(bytes)
                case .ended(_, let reason): return reason.isEmpty ? "the platform closed it" : reason
                }
            }
            if let inputEnd, Date() >= inputEnd + TimeInterval(linger) {
                connection.close()
                return nil
            }
            var entries = [
                pollfd(fd: connection.descriptor, events: Int16(POLLIN), revents: 0),
                pollfd(fd: inputEnd == nil ? STDIN_FILENO : -1, events: Int16(POLLIN), revents: 0),
            ]
            guard poll(&entries, 2, inputEnd == nil ? -1 : 100) > 0, entries[1].revents != 0 else { continue }
            guard try takeInput() else {
                connection.close()
                return nil
            }
        }
    }

    /// False where the person has ended it.
    private mutating func takeInput() throws -> Bool {
        var bytes = [UInt8](repeating: 0, count: 4_096)
        let count = Glibc.read(STDIN_FILENO, &bytes, bytes.count)
        guard count > 0 else {
            if count < 0, errno == EINTR { return true }
            inputEnd = Date()
            return true
        }
        let typed = bytes.prefix(count)
        guard hasEscape, let end = typed.firstIndex(of: Self.escape) else {
            try connection.type(typed)
            return true
        }
        try connection.type(typed[..<end])
        return false
    }

    private static func write(_ bytes: [UInt8]) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(STDOUT_FILENO, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return }
            rest = rest.dropFirst(count)
        }
    }
}

/// A terminal that passes every key on as it is, until it is restored.
private final class RawTerminal {
    private let descriptor: Int32
    private var former: termios?

    /// Nil where the descriptor is no terminal.
    init?(_ descriptor: Int32) {
        var settings = termios()
        guard isatty(descriptor) == 1, tcgetattr(descriptor, &settings) == 0 else { return nil }
        self.descriptor = descriptor
        former = settings
        cfmakeraw(&settings)
        tcsetattr(descriptor, TCSANOW, &settings)
    }

    func restore() {
        if var former { tcsetattr(descriptor, TCSANOW, &former) }
        former = nil
    }
}
