import AdministrationAPI
import AdministrationFixture
import Foundation
import Testing

/// The link in a notification.
@Suite struct ChangeLinkTests {
    private let path = "/api/v1/constraint-changes/\(Samples.link)"
    private let browser = ["Accept": "text/html,application/xhtml+xml", "Accept-Language": "en-US,en;q=0.9"]

    private func maximum(_ live: LiveServer) async -> Int? {
        await live.cloud.configuration().services.first?.constraints.maximumInstances
    }

    @Test("fetching shows the offer and changes nothing, however often; posting changes it once")
    func once() async throws {
        try await LiveServer.run { live in
            await live.cloud.addLink(Samples.link, Samples.offer)
            for method in ["GET", "HEAD", "GET"] {
                let page = try await live.send(method, path, as: nil, headers: browser)
                #expect(page.status == 200)
            }
            #expect(await live.cloud.stateOfLink(Samples.link) == .open)
            #expect(await maximum(live) == 3)
            let offer = try await live.send("GET", path, as: nil).value(API.ConstraintOffer.self)
            #expect(offer.from == 3 && offer.to == 4 && offer.constraint == .maximumInstances)
            #expect(try await live.send("POST", path, as: nil).status == 200)
            #expect(await maximum(live) == 4)
            #expect(try await live.send("POST", path, as: nil).status == 410)
            #expect(try await live.send("GET", path, as: nil).status == 410)
            let events = try await live.send("GET", "/api/v1/events?kind=constraint").value(API.Page<API.Event>.self)
            #expect(events.items.count == 1)
        }
    }

    @Test("pressed twice at once, the button works once")
    func race() async throws {
        try await LiveServer.run { live in
            await live.cloud.addLink(Samples.link, Samples.offer)
            let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 0..<8 { group.addTask { try await live.send("POST", path, as: nil).status } }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(statuses.sorted() == [200] + Array(repeating: 410, count: 7))
        }
    }

    @Test("the page has a form that posts, no script, and cannot be framed")
    func page() async throws {
        try await LiveServer.run { live in
            var offer = Samples.offer
            offer.service = "<script>alert(1)</script>"
            await live.cloud.addLink(Samples.link, offer)
            let page = try await live.send("GET", path, as: nil, headers: browser)
            #expect(page.headers["content-type"] == "text/html; charset=utf-8")
            let policy = page.headers["content-security-policy"] ?? ""
            #expect(policy.contains("default-src 'none'") && policy.contains("form-action 'self'"))
            #expect(policy.contains("frame-ancestors 'none'") && !policy.contains("script-src"))
            #expect(page.text.contains("<form method=\"post\">"))
            #expect(!page.text.contains("<script>") && page.text.contains("&lt;script&gt;"))
        }
    }

    @Test("the form as a browser sends it is taken")
    func form() async throws {
        try await LiveServer.run { live in
            await live.cloud.addLink(Samples.link, Samples.offer)
            var headers = browser
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            let done = try await live.send("POST", path, as: nil, body: "", headers: headers)
            #expect(done.status == 200 && done.text.contains("The limit was changed"))
            let again = try await live.send("POST", path, as: nil, body: "", headers: headers)
            #expect(again.status == 410 && again.text.contains("Nothing was changed"))
            #expect(again.headers["content-type"] == "text/html; charset=utf-8")
        }
    }

    @Test(
        "the page speaks the reader's language",
        arguments: [
            ("zh-CN,zh;q=0.9,en;q=0.8", "zh-CN"), ("zh", "zh-CN"), ("en,zh", "en"), ("de, zh-TW", "zh-CN"),
            ("fr", "en"),
            ("", "en"),
        ])
    func language(accepted: String, page: String) async throws {
        try await LiveServer.run { live in
            await live.cloud.addLink(Samples.link, Samples.offer)
            let answer = try await live.send(
                "GET", path, as: nil, headers: ["Accept": "text/html", "Accept-Language": accepted])
            #expect(answer.text.contains("<html lang=\"\(page)\">"))
        }
    }
}
