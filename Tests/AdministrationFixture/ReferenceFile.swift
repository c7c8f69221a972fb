import Foundation

/// A page of the reference, part of which is made from the code: what stands between the two markers.
///
/// With `CLOUDWRIGHT_UPDATE_REFERENCE=1` in the environment the part is written instead of compared.
public struct ReferenceFile {
    public static let begin = "<!-- made from the code: begin -->"
    public static let end = "<!-- made from the code: end -->"

    private let url: URL

    /// - Parameter name: the file's name in `docs/reference`.
    public init(_ name: String, testFile: String = #filePath) {
        url = URL(fileURLWithPath: testFile).resolvingSymlinksInPath().deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("docs/reference/\(name)")
    }

    /// Nil where the page has this part; otherwise what to do about it.
    public func difference(from part: String) throws -> String? {
        let page = try String(contentsOf: url, encoding: .utf8)
        guard let begin = page.range(of: Self.begin), let end = page.range(of: Self.end) else {
            return "\(url.lastPathComponent) lacks the markers of its made part"
        }
        let expected = "\n\n" + part + "\n"
        guard page[begin.upperBound..<end.lowerBound] != expected else { return nil }
        guard ProcessInfo.processInfo.environment["CLOUDWRIGHT_UPDATE_REFERENCE"] == "1" else {
            return
                "\(url.lastPathComponent) is not what the code says; run its test with CLOUDWRIGHT_UPDATE_REFERENCE=1"
        }
        let text = page[..<begin.upperBound] + expected + page[end.lowerBound...]
        try Data(text.utf8).write(to: url)
        return nil
    }
}
