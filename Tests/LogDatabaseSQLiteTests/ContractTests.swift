import LogDatabaseContract
import LogDatabaseSQLite
import Testing

@Suite struct ContractTests {
    @Test(arguments: LogDatabaseContract.all)
    func keeps(_ requirement: LogDatabaseContract) async throws {
        let file = try DatabaseFile()
        try await requirement.check { try file.open() }
    }
}
