import CloudModel
import CloudPorts
import Credentials
import Foundation

/// Makes the first administrator's token, at the first start with an empty log database. It is shown once; the log
/// database has its digest alone.
struct FirstAdministrator {
    let database: any LogDatabase
    let tokenFile: URL?

    func create(at now: Timestamp) async throws {
        guard try await database.administrators().isEmpty else { return }
        let token = APIKey.generate(.administrator)
        // Shown before it is stored: a crash in between leaves a token that does not work, and the next start makes
        // another. The other way round would lock everybody out.
        try show(token.text)
        try await database.store(
            Administrator(name: "admin", role: .administrator, tokenDigest: token.digest, createdAt: now))
    }

    private func show(_ token: String) throws {
        guard let tokenFile else {
            let text = "The administrator's token, shown this once: \(token)\nLog in with: cloudwright login\n"
            try FileHandle.standardOutput.write(contentsOf: Data(text.utf8))
            return
        }
        try? FileManager.default.removeItem(at: tokenFile)
        let attributes: [FileAttributeKey: Any] = [.posixPermissions: 0o600]
        guard
            FileManager.default.createFile(
                atPath: tokenFile.path, contents: Data((token + "\n").utf8), attributes: attributes)
        else {
            throw CommandFailure(
                "the administrator's token cannot be written to \(tokenFile.path); make its directory writable, or "
                    + "start without --administrator-token-file to have it printed")
        }
    }
}
