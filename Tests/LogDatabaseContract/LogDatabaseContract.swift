public import CloudPorts

/// What every log database must do, as checks that any implementation runs against itself.
///
/// A check gets a factory that opens the same, at first empty, database each time it is called: it closes it and opens
/// it again to see what was durable.
public struct LogDatabaseContract: Sendable, CustomStringConvertible {
    public typealias Factory = @Sendable () async throws -> any LogDatabase

    public let name: String
    private let body: @Sendable (Factory) async throws -> Void

    init(_ name: String, _ body: @escaping @Sendable (Factory) async throws -> Void) {
        self.name = name
        self.body = body
    }

    public var description: String { name }

    /// Throws `ContractViolation` where the database does not do what it must.
    public func check(_ open: @escaping Factory) async throws { try await body(open) }

    public static let all: [LogDatabaseContract] =
        controlChecks + eventChecks + ingestChecks + usageChecks + lifecycleChecks + auditChecks + outboxChecks
        + sealChecks + usageEventChecks + administrationChecks + billChecks
        + concurrencyChecks
}

/// A promise of the port that was not kept.
public struct ContractViolation: Error, CustomStringConvertible {
    public let description: String
}

func require(
    _ condition: Bool, _ promise: @autoclosure () -> String, file: StaticString = #fileID, line: UInt = #line
) throws {
    guard !condition else { return }
    throw ContractViolation(description: "\(file):\(line): \(promise())")
}

func requireEqual<Value: Equatable>(
    _ found: Value, _ expected: Value, _ promise: @autoclosure () -> String, file: StaticString = #fileID,
    line: UInt = #line
) throws {
    try require(found == expected, "\(promise()): found \(found), expected \(expected)", file: file, line: line)
}

extension LogDatabaseContract {
    /// Opens the database, and closes it whatever the body does.
    static func session<Value>(
        _ open: Factory, _ body: (any LogDatabase) async throws -> Value
    ) async throws -> Value {
        let database = try await open()
        do {
            let value = try await body(database)
            await database.close()
            return value
        } catch {
            await database.close()
            throw error
        }
    }
}
