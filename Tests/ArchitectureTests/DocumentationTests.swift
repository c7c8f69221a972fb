import Foundation
import Testing

/// The pages for people: every link leads somewhere, and every page is found from the index.
@Suite struct DocumentationTests {
    private struct Page {
        /// Relative to the root.
        var path: String
        var lines: [Substring]

        init(_ path: String) throws {
            self.path = path
            let text = try String(contentsOf: Repository.root.appendingPathComponent(path), encoding: .utf8)
            // What is inside of a fence is no text.
            var isFenced = false
            lines = text.split(separator: "\n", omittingEmptySubsequences: false).filter { line in
                let isFence = line.drop { $0 == " " }.hasPrefix("```")
                if isFence { isFenced.toggle() }
                return !isFenced && !isFence
            }
        }

        /// The targets of links and pictures, without those on the web.
        var links: [String] {
            let text = lines.joined(separator: "\n").replacing(/`[^`]*`/, with: "")
            return text.matches(of: /\]\(([^)\s]+)\)/).map { String($0.1) }.filter {
                !$0.hasPrefix("http://") && !$0.hasPrefix("https://") && !$0.hasPrefix("mailto:")
            }
        }

        /// Of its headings, as the usual hosts of repositories make them.
        var anchors: Set<String> {
            Set(
                lines.filter { $0.hasPrefix("#") }.map { line in
                    let title = line.drop { $0 == "#" }.trimmingCharacters(in: .whitespaces).lowercased()
                    return String(
                        title.compactMap { character -> Character? in
                            character == " "
                                ? "-"
                                : character.isLetter || character.isNumber || "-_".contains(character)
                                    ? character : nil
                        })
                })
        }
    }

    private static func pages() throws -> [Page] {
        let docs = FileManager.default.enumerator(atPath: Repository.root.appendingPathComponent("docs").path)
        let names = (docs?.allObjects as? [String] ?? []).filter { $0.hasSuffix(".md") }.map { "docs/\($0)" }
        return try (names + ["README.md", "README.zh-CN.md", "CONTRIBUTING.md", "CHANGELOG.md"]).sorted().map(Page.init)
    }

    /// The file that a link names, relative to the root.
    private static func target(_ link: Substring, from page: String) -> String {
        let folder = URL(fileURLWithPath: "/" + page).deletingLastPathComponent()
        return String(folder.appendingPathComponent(String(link)).standardizedFileURL.path.dropFirst())
    }

    @Test("every link leads to a file and a heading that are there") func links() throws {
        let pages = try Self.pages()
        try #require(pages.count > 20)
        var count = 0
        for page in pages {
            for link in page.links {
                count += 1
                let parts = link.split(separator: "#", maxSplits: 1, omittingEmptySubsequences: false)
                let path = parts[0].isEmpty ? page.path : Self.target(parts[0], from: page.path)
                let isThere = FileManager.default.fileExists(atPath: Repository.root.appendingPathComponent(path).path)
                #expect(isThere, "\(page.path): \(link)")
                guard parts.count == 2, let other = pages.first(where: { $0.path == path }) else { continue }
                #expect(other.anchors.contains(String(parts[1])), "\(page.path): \(link) names no heading")
            }
        }
        #expect(count > 60)
    }

    @Test("every page is found from the index") func index() throws {
        let pages = try Self.pages()
        let index = try #require(pages.first { $0.path == "docs/README.md" })
        let found = Set(index.links.map { Self.target($0[...], from: index.path) })
        for page in pages where page.path.hasPrefix("docs/") && page.path != index.path {
            #expect(found.contains(page.path), "\(page.path) is not in docs/README.md")
        }
    }
}
