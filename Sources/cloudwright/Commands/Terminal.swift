package import Foundation
import Glibc

/// Where a command writes and what it is told by its surroundings. Data goes to standard output, everything else to
/// standard error.
package struct Terminal: Sendable {
    package var writeOutput: @Sendable (String) -> Void
    package var writeError: @Sendable (String) -> Void
    /// A secret that was piped in or typed without being shown; nil at the end of the input.
    package var readSecret: @Sendable (_ prompt: String) -> String?
    package var environment: [String: String]
    /// Whether standard output is a terminal that shows colours, and they are wanted (https://no-color.org).
    package var hasColour: Bool
    /// Whether standard error is looked at by a person.
    package var showsProgress: Bool
    /// Whether standard output is a screen, on which a table may take the place of the one before.
    package var isScreen = false
    package var now: @Sendable () -> Date

    @TaskLocal package static var current = Terminal.standard

    package init(
        writeOutput: @escaping @Sendable (String) -> Void, writeError: @escaping @Sendable (String) -> Void,
        readSecret: @escaping @Sendable (_ prompt: String) -> String?, environment: [String: String],
        hasColour: Bool, showsProgress: Bool, now: @escaping @Sendable () -> Date
    ) {
        self.writeOutput = writeOutput
        self.writeError = writeError
        self.readSecret = readSecret
        self.environment = environment
        self.hasColour = hasColour
        self.showsProgress = showsProgress
        self.now = now
    }

    static let standard: Terminal = {
        let environment = ProcessInfo.processInfo.environment
        let wantsColour = (environment["NO_COLOR"] ?? "").isEmpty && environment["TERM"] != "dumb"
        var terminal = Terminal(
            writeOutput: { write($0, to: STDOUT_FILENO) }, writeError: { write($0, to: STDERR_FILENO) },
            readSecret: { prompt in readLineWithoutEcho(prompt) }, environment: environment,
            hasColour: wantsColour && isatty(STDOUT_FILENO) == 1, showsProgress: isatty(STDERR_FILENO) == 1,
            now: { Date() })
        terminal.isScreen = isatty(STDOUT_FILENO) == 1 && environment["TERM"] != "dumb"
        return terminal
    }()

    func output(_ text: String) { writeOutput(text.hasSuffix("\n") ? text : text + "\n") }
    func note(_ text: String) { writeError(text.hasSuffix("\n") ? text : text + "\n") }
    func progress(_ text: String) { if showsProgress { note(text) } }

    /// Whoever reads us may have gone (`| head`); then there is nobody to tell.
    private static func write(_ text: String, to descriptor: Int32) {
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                if errno == EPIPE, descriptor == STDOUT_FILENO { exit(1) }
                return
            }
            bytes = bytes.dropFirst(count)
        }
    }

    private static func readLineWithoutEcho(_ prompt: String) -> String? {
        guard isatty(STDIN_FILENO) == 1 else { return readLine(strippingNewline: true) }
        write(prompt, to: STDERR_FILENO)
        var settings = termios()
        tcgetattr(STDIN_FILENO, &settings)
        var quiet = settings
        quiet.c_lflag &= ~tcflag_t(ECHO)
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet)
        defer {
            tcsetattr(STDIN_FILENO, TCSAFLUSH, &settings)
            write("\n", to: STDERR_FILENO)
        }
        return readLine(strippingNewline: true)
    }
}

/// A command did not do what it was asked: exit code 1.
struct CommandFailure: Error, CustomStringConvertible {
    var description: String

    init(_ description: String) { self.description = description }
}
