import LogDatabaseContract
import LogDatabasePostgres
import PostgresFixture
import Testing

let noServer: Comment = "\(PostgresServer.obstacle ?? "")"

@Suite(.enabled(if: PostgresServer.isAvailable, noServer))
struct ContractTests {
    @Test(arguments: LogDatabaseContract.all)
    func keeps(_ requirement: LogDatabaseContract) async throws {
        let settings = try PostgresConnectionSettings(try await SharedPostgres.database())
        try await requirement.check { try await PostgresLogDatabase.open(settings) }
    }
}
