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
        Reply(
            status: 200,
            headers: [
                "content-security-policy": policy,
                // Asked for again each time and answered with 304: a new version of the platform is seen at once.
                "cache-control": "no-cache",
                "etag": "\"\(asset.bytes.withUnsafeBytes { KeyDigest(of: $0) }.description.prefix(32))\"",
                "permissions-policy": "camera=(), geolocation=(), microphone=()",
            ],
            body: .bytes(asset.bytes, mediaType: asset.mediaType))
    }

    /// The answer where the path is the console's; nil for all other paths and methods.
    static func reply(method: String, path: String) -> Reply? {
        guard method == "GET" || method == "HEAD" else { return nil }
        if path == "/" || path == root || path == root.dropLast() { return replies["index.html"] }
        guard path.hasPrefix(root) else { return nil }
        return replies[String(path.dropFirst(root.count))]
    }
}
