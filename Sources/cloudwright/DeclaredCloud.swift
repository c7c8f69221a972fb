import CloudModel
import CloudPorts
import ConfigurationFile
import ControlPlane
import Credentials
import Foundation
import Logging

/// The configuration file that the platform was started with.
struct DeclaredCloud {
    let settings: PlatformSettings
    private let configuration: CloudConfiguration
    private let digest: String
    private static let setting = "applied-file-digest"

    init(file: URL) throws {
        guard let data = FileManager.default.contents(atPath: file.path) else {
            throw CommandFailure("\(file.path) cannot be read; give the cloud's configuration with -f")
        }
        guard let text = String(data: data, encoding: .utf8) else {
            throw CommandFailure("\(file.path) is not readable as UTF-8 text; save it as UTF-8")
        }
        do {
            let document = try ConfigurationDocument(parsing: text, file: file.relativePath)
            settings = document.settings
            configuration = document.configuration
        } catch {
            throw CommandFailure(error.description)
        }
        digest = KeyDigest(of: text).description
    }

    /// Applies the file unless the same text was applied before: what an administrator has changed since (a raised
    /// limit, a created key) must not fall back at a restart.
    func applyIfChanged(to controlPlane: ControlPlane, database: any LogDatabase, logger: Logger) async throws {
        guard try await database.setting(Self.setting) != digest else { return }
        do {
            try await controlPlane.apply(configuration, actor: "configuration-file")
        } catch {
            throw CommandFailure("the configuration cannot be applied: \(error.description)")
        }
        try await database.setSetting(Self.setting, to: digest)
        logger.notice("The configuration file has been applied")
    }
}
