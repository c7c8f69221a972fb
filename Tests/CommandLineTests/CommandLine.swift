import AdministrationFixture
import Foundation
import Synchronization
import cloudwright

/// One run of the command-line tool: its arguments and surroundings, and what came of it.
struct CommandLine {
    struct Outcome {
        var code: Int32
        var output: String
        var error: String

        func json<Value: Decodable>(_ type: Value.Type) throws -> Value {
            try JSONDecoder().decode(type, from: Data(output.utf8))
        }
    }

    final class Screen: Sendable {
        private let texts = Mutex((output: "", error: ""))
        func write(_ text: String) { texts.withLock { $0.output += text } }
        func writeError(_ text: String) { texts.withLock { $0.error += text } }
        var output: String { texts.withLock { $0.output } }
        var error: String { texts.withLock { $0.error } }
    }

    var environment: [String: String] = ["HOME": "/nonexistent"]
    /// What every question is answered with.
    var typed: String?
    /// What the questions are answered with, one after the other.
    var typedLines: [String] = []
    var hasColour = false
    let screen = Screen()

    func run(_ arguments: [String]) async -> Outcome {
        let typed = typed
        let lines = Mutex(typedLines)
        let screen = screen
        let terminal = Terminal(
            writeOutput: { screen.write($0) }, writeError: { screen.writeError($0) },
            readSecret: { _ in lines.withLock { $0.isEmpty ? typed : $0.removeFirst() } },
            environment: environment, hasColour: hasColour, showsProgress: false, now: { Date() })
        let code = await Terminal.$current.withValue(terminal) { await CommandRunner.execute(arguments) }
        return Outcome(code: code, output: screen.output, error: screen.error)
    }

    static func run(_ arguments: String...) async -> Outcome { await CommandLine().run(arguments) }
}

extension LiveServer {
    /// Runs a command against this server with an administrator's token.
    func command(_ arguments: String..., role: String = "administrator") async -> CommandLine.Outcome {
        var line = CommandLine()
        let token = tokens.first { $0.key.rawValue == role }?.value ?? ""
        line.environment["CLOUDWRIGHT_SERVER"] = address
        line.environment["CLOUDWRIGHT_TOKEN"] = token
        return await line.run(arguments)
    }
}
