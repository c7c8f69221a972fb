import Console
import Foundation
import Testing

@Suite struct ConsoleAssetTests {
    private static let folder = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("Sources/CConsole/assets")

    @Test("every file of the folder is in the program, byte for byte, and nothing else")
    func complete() throws {
        let names = try FileManager.default.contentsOfDirectory(atPath: Self.folder.path)
        #expect(Set(names) == Set(ConsoleAsset.all.keys))
        for name in names {
            let content = try Data(contentsOf: Self.folder.appendingPathComponent(name))
            #expect(ConsoleAsset.all[name].map { Data($0.bytes) } == content, "\(name)")
            #expect(ConsoleAsset.all[name]?.mediaType != "application/octet-stream", "\(name)")
        }
    }

    @Test("no page has script or style of its own, and nothing comes from elsewhere")
    func selfContained() throws {
        for asset in ConsoleAsset.all.values {
            let text = String(decoding: asset.bytes, as: UTF8.self)
            for forbidden in ["https://", "//cdn", "innerHTML", "eval(", "document.write", "style=\"", "@import url"] {
                #expect(!text.contains(forbidden), "\(asset.name) has \(forbidden)")
            }
            let plain = text.replacing("http://www.w3.org/", with: "")
            #expect(!plain.contains("http://"), "\(asset.name) names another server")
        }
    }

    @Test("every text is there in both languages")
    func languages() throws {
        let keys = ["en", "zh"].map { language in
            let files = ConsoleAsset.all.values.filter { $0.name.hasPrefix("text-\(language)") }
                .sorted { $0.name < $1.name }
            let text = files.map { String(decoding: $0.bytes, as: UTF8.self) }.joined()
            return text.matches(of: /(?m)^  "([^"]+)":/).map(\.1)
        }
        #expect(keys[0].count > 100)
        #expect(keys[0] == keys[1], "the files of both name the same texts in the same order")
        #expect(Set(keys[0]).count == keys[0].count, "no text is there twice")
        let known = Set(keys[0])
        for asset in ConsoleAsset.all.values where asset.name.hasSuffix(".js") {
            let text = String(decoding: asset.bytes, as: UTF8.self)
            for match in text.matches(of: /\bt\("([a-zA-Z0-9.-]+)"/) {
                #expect(known.contains(match.1), "\(asset.name) uses \(match.1), which has no words")
            }
        }
    }
}
