import CConsole

/// One file of the web console. The compiler puts the files of `Sources/CConsole/assets` into the program, so that
/// there is nothing to install beside it.
public struct ConsoleAsset: Hashable, Sendable {
    /// Its name in the folder, which is its name below `/console/`.
    public let name: String
    public let bytes: [UInt8]

    /// All files, by name.
    public static let all: [String: ConsoleAsset] = Dictionary(
        uniqueKeysWithValues: (0..<cconsole_asset_count()).map { index in
            let asset = cconsole_asset_at(index)
            let name = String(cString: asset.name)
            let bytes = Array(UnsafeBufferPointer(start: asset.bytes, count: asset.size))
            return (name, ConsoleAsset(name: name, bytes: bytes))
        })

    /// What the browser is to take it for.
    public var mediaType: String {
        switch name.split(separator: ".").last {
        case "html": "text/html; charset=utf-8"
        case "js": "text/javascript; charset=utf-8"
        case "css": "text/css; charset=utf-8"
        case "svg": "image/svg+xml"
        default: "application/octet-stream"
        }
    }
}
