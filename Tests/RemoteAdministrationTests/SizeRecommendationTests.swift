import AdministrationAPI
import AdministrationFixture
import Foundation
import Testing

/// A size from recorded use, asked for over the API.
@Suite struct SizeRecommendationTests {
    private static func ask(
        _ live: LiveServer, _ csv: String, given: Int = 1_000, maximum: Int? = nil
    ) async throws -> LiveServer.Answer {
        let use = API.RecordedUse(csv: csv, givenMillicores: given, maximumMillicores: maximum)
        let body = String(decoding: try JSONEncoder().encode(use), as: UTF8.self)
        return try await live.send("POST", "/api/v1/size-recommendations", as: .auditor, body: body)
    }

    private static func use(_ millicores: Int) -> String {
        (0..<2_000).map { "\($0 * 60),\(millicores)\n" }.joined()
    }

    @Test("a steady use is covered with some room, and the maximum is never passed")
    func recommends() async throws {
        try await LiveServer.run { live in
            let found = try await Self.ask(live, Self.use(300)).value(API.SizeRecommendation.self)
            #expect(found.points == 2_000)
            #expect((300...450).contains(found.targetMillicores), "\(found)")
            #expect(found.lowerMillicores <= found.targetMillicores)
            #expect(found.upperMillicores >= found.targetMillicores)
            let capped = try await Self.ask(live, Self.use(900), maximum: 500).value(API.SizeRecommendation.self)
            #expect(capped.targetMillicores == 500 && capped.shortTimePerMillion > 900_000, "\(capped)")
        }
    }

    @Test("what cannot be read is refused with its line, and a size that is none with what to give")
    func refuses() async throws {
        try await LiveServer.run { live in
            let line = try await Self.ask(live, "0,1\nno comma\n")
            #expect(line.status == 400 && line.text.contains("line 2"), "\(line.text)")
            let size = try await Self.ask(live, Self.use(300), given: 0)
            #expect(size.status == 400 && size.text.contains("give 1 to 1000000"), "\(size.text)")
        }
    }
}
