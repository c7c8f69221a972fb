import Console
import Credentials

/// The web console: its page at `/` and `/console/`, its other files below that. They hold no data and are for anybody:
/// what is shown comes from the API, with its rights.
enum ConsoleFiles {
    static let root = "/console/"

    /// Everything comes from the platform itself, no script or style is inside of a page, no text can become markup.
    private static let policy = """
        default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
        form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; \
        trusted-types 'none'
        """

    private static let replies: [String: Reply] = ConsoleAsset.all.mapValues { asset in
        reply(asset.bytes, asset.mediaType)
    }
    private static let displays = NoVNCFiles()

    private static func reply(_ bytes: [UInt8], _ mediaType: String) -> Reply {
        Reply(
            status: 200,
            headers: [
                "content-security-policy": policy,
                // Asked for again each time and answered with 304: a new version of the platform is seen at once.
                "cache-control": "no-cache",
                "etag": "\"\(bytes.withUnsafeBytes { KeyDigest(of: $0) }.description.prefix(32))\"",
                "permissions-policy": "camera=(), geolocation=(), microphone=()",
            ],
            body: .bytes(bytes, mediaType: mediaType))
    }

    /// The answer where the path is the console's; nil for all other paths and methods.
    static func reply(method: String, path: String) -> Reply? {
        guard method == "GET" || method == "HEAD" else { return nil }
        if path == "/" || path == root || path == root.dropLast() { return replies["index.html"] }
        guard path.hasPrefix(root) else { return nil }
        let name = path.dropFirst(root.count)
        if name.hasPrefix(NoVNCFiles.root) {
            let module = String(name.dropFirst(NoVNCFiles.root.count))
            return displays.file(module).map { reply($0, "text/javascript; charset=utf-8") }
        }
        return replies[String(path.dropFirst(root.count))]
    }
}
