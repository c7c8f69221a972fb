import CloudModel
import Gateway
import Testing

@Suite struct RouteTableTests {
    /// The service that a request for this host and path is for; nil for none. The path is normalised as the gateway
    /// does it.
    private func service(_ table: RouteTable, _ host: String, _ path: String) throws -> Int? {
        let path = try #require(NormalPath.normalise(path))
        let index = Array(host.utf8).withUnsafeBytes { host in
            Array(path.utf8).withUnsafeBytes { table.service(host: host, path: $0) }
        }
        return index == RouteTable.noService ? nil : index
    }

    @Test func theMostSpecificHostWins() throws {
        let table = RouteTable(routes: [
            [Route(pathPrefix: "/")],
            [Route(host: "*.example.org", pathPrefix: "/")],
            [Route(host: "*.api.example.org", pathPrefix: "/")],
            [Route(host: "www.example.org", pathPrefix: "/")],
        ])
        #expect(try service(table, "www.example.org", "/") == 3)
        #expect(try service(table, "other.example.org", "/") == 1)
        #expect(try service(table, "a.b.example.org", "/") == 1)
        #expect(try service(table, "v1.api.example.org", "/") == 2)
        #expect(try service(table, "a.v1.api.example.org", "/") == 2)
        // A wildcard stands for one label at least.
        #expect(try service(table, "api.example.org", "/") == 1)
        #expect(try service(table, "example.org", "/") == 0)
        #expect(try service(table, ".example.org", "/") == 0)
        #expect(try service(table, "notexample.org", "/") == 0)
        #expect(try service(table, "", "/") == 0)
    }

    @Test(arguments: [
        "www.example.org", "WWW.Example.ORG", "www.example.org:8080", "www.example.org.", "WWW.example.org.:80",
    ])
    func hostsAreComparedWithoutCasePortAndLastDot(_ host: String) throws {
        let table = RouteTable(routes: [[Route(host: "Www.example.org")]])
        #expect(try service(table, host, "/") == 0)
    }

    @Test func addressesAreHosts() throws {
        let table = RouteTable(routes: [
            [Route(host: "::1")], [Route(host: "[2001:db8::1]")], [Route(host: "10.0.0.1")],
        ])
        #expect(try service(table, "[::1]:8080", "/") == 0)
        #expect(try service(table, "[::1]", "/") == 0)
        #expect(try service(table, "[2001:DB8::1]:80", "/") == 1)
        #expect(try service(table, "10.0.0.1:80", "/") == 2)
        #expect(try service(table, "[::2]:8080", "/") == nil)
    }

    @Test func theLongestPrefixOfWholeSegmentsWins() throws {
        let table = RouteTable(routes: [
            [Route(pathPrefix: "/a")], [Route(pathPrefix: "/a/b/")], [Route(pathPrefix: "/a/b/c/d")],
        ])
        #expect(try service(table, "", "/") == nil)
        #expect(try service(table, "", "/ab") == nil)
        #expect(try service(table, "", "/a") == 0)
        #expect(try service(table, "", "/a/") == 0)
        #expect(try service(table, "", "/a/bc") == 0)
        #expect(try service(table, "", "/a/b") == 1)
        #expect(try service(table, "", "/a/b/c") == 1)
        #expect(try service(table, "", "/a/b/c/d/e") == 2)
        #expect(try service(table, "", "/A") == nil)
    }

    /// A route for every host counts where the host's own routes do not match the path.
    @Test func aHostWithoutMatchingPathFallsBack() throws {
        let table = RouteTable(routes: [
            [Route(host: "example.org", pathPrefix: "/shop")], [Route(host: "*.org", pathPrefix: "/info")],
            [Route(pathPrefix: "/healthz")],
        ])
        #expect(try service(table, "example.org", "/shop/1") == 0)
        #expect(try service(table, "example.org", "/info") == 1)
        #expect(try service(table, "example.org", "/healthz") == 2)
        #expect(try service(table, "example.org", "/other") == nil)
    }

    @Test(arguments: [
        "/admin", "//admin", "/admin/", "/./../admin", "/%61dmin", "/admin%2fx", "/admin;v=1/x", "/%2Fadmin",
    ])
    func anotherSpellingReachesNoOtherService(_ raw: String) throws {
        let table = RouteTable(routes: [[Route(pathPrefix: "/")], [Route(pathPrefix: "/admin")]])
        guard NormalPath.normalise(raw) != nil else { return }
        #expect(try service(table, "", raw) == 1)
    }

    @Test func ofEqualRoutesTheFirstCounts() throws {
        let table = RouteTable(routes: [[Route(pathPrefix: "/a")], [Route(pathPrefix: "/a/")]])
        #expect(try service(table, "", "/a") == 0)
    }

    @Test func longHostsAndPathsAreBounded() throws {
        let table = RouteTable(routes: [[Route(host: "*.example.org")], [Route(pathPrefix: "/")]])
        #expect(try service(table, String(repeating: "a.", count: 2_000) + "example.org", "/") == 1)
        #expect(try service(table, "a.example.org", String(repeating: "/a", count: 4_000)) == 0)
    }

    /// Random tables against the plainest reading of the rule.
    @Test(arguments: 0..<40 as Range<UInt64>)
    func agreesWithThePlainReading(_ seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let labels = ["a", "b", "ab", "x-1", "org"]
        func words(_ count: Int, _ separator: String) -> String {
            (0..<count).map { _ in labels.randomElement(using: &random)! }.joined(separator: separator)
        }
        func host() -> String { words(Int.random(in: 1..<5, using: &random), ".") }
        func path() -> String { "/" + words(Int.random(in: 0..<4, using: &random), "/") }
        var routes: [[Route]] = []
        var seen: Set<Route> = []
        for _ in 0..<Int.random(in: 1..<40, using: &random) {
            let choice = Int.random(in: 0..<3, using: &random)
            let route = Route(host: choice == 0 ? nil : choice == 1 ? host() : "*.\(host())", pathPrefix: path())
            if seen.insert(route).inserted { routes.append([route]) }
        }
        let table = RouteTable(routes: routes)
        for _ in 0..<300 {
            let (host, path) = (host(), path())
            #expect(try service(table, host, path) == Self.plainReading(routes, host, path), "\(host) \(path)")
        }
    }

    private static func plainReading(_ routes: [[Route]], _ host: String, _ path: String) -> Int? {
        func hostRank(_ route: Route) -> Int? {
            guard let pattern = route.host else { return 0 }
            if pattern == host { return 10_000 }
            return pattern.hasPrefix("*.") && host.hasSuffix(pattern.dropFirst()) ? pattern.count : nil
        }
        func matches(_ prefix: String) -> Bool { prefix == "/" || path == prefix || path.hasPrefix(prefix + "/") }
        return routes.indices.filter { hostRank(routes[$0][0]) != nil && matches(routes[$0][0].pathPrefix) }
            .max { left, right in
                (hostRank(routes[left][0])!, routes[left][0].pathPrefix.count)
                    < (hostRank(routes[right][0])!, routes[right][0].pathPrefix.count)
            }
    }
}

@Suite struct NormalPathTests {
    @Test(arguments: [
        ("/", "/"), ("//", "/"), ("/a", "/a"), ("/a/", "/a"), ("//a///b//", "/a/b"), ("/a%2Fb", "/a/b"),
        ("/a%5cb", "/a/b"), ("/%6cogin", "/login"), ("/a;v=1/b;w", "/a/b"), ("/;x", "/"), ("/a%3bb", "/a;b"),
        ("/.well-known/x", "/.well-known/x"), ("/...", "/..."), ("/a..b", "/a..b"), ("/a%20b", "/a b"),
        ("/%252e%252e/a", "/%2e%2e/a"), ("/%C3%A9", "/é"), ("/~a/$b", "/~a/$b"),
    ])
    func oneFormForAllSpellings(_ raw: String, _ normal: String) {
        #expect(NormalPath.normalise(raw) == normal)
        #expect(NormalPath.normalise(normal) == normal || normal.contains("%") || normal.contains(";"))
    }

    @Test(arguments: [
        ("", NormalPath.Fault.notAbsolute), ("*", .notAbsolute), ("a/b", .notAbsolute), ("/..", .dotSegment),
        ("/.", .dotSegment), ("/a/../b", .dotSegment), ("/a/./b", .dotSegment), ("/%2e%2E/b", .dotSegment),
        ("/.%2e", .dotSegment), ("/a%2f..%2fb", .dotSegment), ("/a/..;v=1/b", .dotSegment), ("/..%5cb", .dotSegment),
        ("/a%", .malformedEscape), ("/a%2", .malformedEscape), ("/a%zz", .malformedEscape),
        ("/a%00b", .controlCharacter), ("/a%0d%0ab", .controlCharacter), ("/a\u{7F}", .controlCharacter),
        ("/a\\b", .backslash), ("/a;%2f..%2fb", .separatorInParameters),
    ])
    func whatNoFoldIsSafeForIsRefused(_ raw: String, _ fault: NormalPath.Fault) {
        var scratch = [UInt8](repeating: 0, count: raw.utf8.count)
        _ = Array(raw.utf8).withUnsafeBytes { raw in
            scratch.withUnsafeMutableBytes { scratch in
                #expect(throws: fault) { _ = try NormalPath.normalise(raw, scratch: scratch) }
            }
        }
    }

    @Test func whatIsNormalIsNotCopied() throws {
        let raw = Array("/a/b.c".utf8)
        try raw.withUnsafeBytes { raw in
            let empty = UnsafeMutableRawBufferPointer(start: nil, count: 0)
            let normal = try NormalPath.normalise(raw, scratch: empty)
            #expect(normal.baseAddress == raw.baseAddress)
        }
        _ = Array("/a//b".utf8).withUnsafeBytes { raw in
            #expect(throws: NormalPath.Fault.tooLong) {
                _ = try NormalPath.normalise(raw, scratch: UnsafeMutableRawBufferPointer(start: nil, count: 0))
            }
        }
    }

    /// Whatever comes in, what comes out is a fixed point without empty and dot segments, and no longer than it was.
    @Test(arguments: 0..<40 as Range<UInt64>)
    func theFormIsFinal(_ seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let pieces = ["/", "/", ".", "..", "a", "%2e", "%2F", "%5c", ";", "%3b", "%25", "%61", "\\", "%00", "b=1", "é"]
        for _ in 0..<500 {
            let count = Int.random(in: 0..<12, using: &random)
            let raw = "/" + (0..<count).map { _ in pieces.randomElement(using: &random)! }.joined()
            guard let normal = NormalPath.normalise(raw) else { continue }
            let segments = normal.split(separator: "/", omittingEmptySubsequences: false).dropFirst()
            #expect(normal.hasPrefix("/") && normal.utf8.count <= raw.utf8.count, "\(raw)")
            #expect(normal == "/" || segments.allSatisfy { !["", ".", ".."].contains($0) }, "\(raw) -> \(normal)")
        }
    }
}
