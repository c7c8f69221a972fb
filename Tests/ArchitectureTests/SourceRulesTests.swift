import Testing

/// Each rule is seen to fail on a planted sample, and to stay silent on a good one.
@Suite struct SourceRulesTests {
    private func file(_ text: String, _ path: String = "Sources/CloudModel/Sample.swift") -> RepositoryFile {
        RepositoryFile(path: path, text: text)
    }

    @Test(
        "imports",
        arguments: [
            ("import Foundation", "Sources/CloudModel/A.swift", false),
            ("import Glibc", "Sources/HTTP1/A.swift", false),
            ("public import CloudModel", "Sources/Failover/A.swift", true),
            ("import LoadBalancing", "Sources/Failover/A.swift", false),
            ("internal import struct Foundation.Date", "Sources/Failover/A.swift", false),
            ("@preconcurrency import Dispatch", "Sources/CloudModel/A.swift", false),
            ("@_exported import CloudModel", "Sources/Failover/A.swift", true),
            ("#if canImport(Glibc)\n    import Glibc\n#endif", "Sources/CloudModel/A.swift", false),
            ("// import Foundation", "Sources/CloudModel/A.swift", true),
            ("/* a /* b */\nimport Foundation */", "Sources/CloudModel/A.swift", true),
            ("let text = \"\"\"\n    import Foundation\n    \"\"\"", "Sources/CloudModel/A.swift", true),
            ("import GRDB", "Sources/ControlPlane/A.swift", false),
            ("import Notifications", "Sources/Gateway/A.swift", false),
            ("import Testing\nimport HTTP1\nimport Foundation", "Tests/HTTP1Tests/A.swift", true),
            ("import Gateway", "Tests/HTTP1Tests/A.swift", false),
            ("@testable import HTTP1", "Tests/HTTP1Tests/A.swift", false),
            ("import LogDatabaseContract", "Tests/LogDatabaseSQLiteTests/A.swift", true),
        ])
    func imports(text: String, path: String, isAllowed: Bool) {
        #expect(SourceRules.imports(file(text, path)).isEmpty == isAllowed)
    }

    @Test("an import that is refused is named with its line")
    func importMessage() {
        let found = SourceRules.imports(file("let a = 1\nimport Foundation\n"))
        #expect(
            found.map(\.description) == [
                "Sources/CloudModel/Sample.swift:2: CloudModel may not import Foundation; it may import nothing"
            ])
    }

    @Test(
        "unknown folders",
        arguments: [
            ("Sources/CloudModel/A.swift", true), ("Tests/HTTP1Tests/A.swift", true), ("docs/a.md", true),
            ("Sources/Common/A.swift", false), ("Tests/CommonTests/A.swift", false), ("Tests/HTTP1/A.swift", false),
            ("Sources/stray.swift", false),
        ])
    func rooms(path: String, isKnown: Bool) {
        #expect(SourceRules.unknownRooms([path]).isEmpty == isKnown)
    }

    @Test(
        "purity",
        arguments: [
            ("let now = ContinuousClock().now", false), ("Task { }", false), ("func a() async {}", false),
            ("print(1)", false), ("package actor Pool {}", false), ("init(actor: Actor)", true),
            ("Int.random(in: 0..<3)", false), ("list.shuffled()", false),
            ("list.randomElement()", false),
            ("Int.random(in: f(0)..<3, using: &generator)", true), ("list.shuffled(using: &generator)", true),
            ("let text = \"await print\"  // Task", true), ("\"\\(list.shuffled())\"", true), ("let random = 3", true),
        ])
    func purity(text: String, isPure: Bool) {
        #expect(SourceRules.purity(file(text)).isEmpty == isPure)
        #expect(SourceRules.purity(file(text, "Sources/Gateway/A.swift")).isEmpty)
    }

    @Test("file length")
    func fileLength() {
        #expect(SourceRules.fileLength(file(String(repeating: "a\n", count: 500))).isEmpty)
        #expect(SourceRules.fileLength(file(String(repeating: "a\n", count: 501))).count == 1)
        #expect(SourceRules.fileLength(file(String(repeating: "a\n", count: 501), "Sources/CGateway/a.c")).count == 1)
        #expect(SourceRules.fileLength(file(String(repeating: "a\n", count: 501), "docs/a.md")).isEmpty)
    }

    @Test(
        "function length",
        arguments: [
            "func long(a: Int = f { $0 }) -> Int", "init?(a: [Int])", "mutating func `init`() throws(Fault)", "deinit",
            "subscript(a: Int) -> Int", "static func == (a: T, b: T) -> Bool", "var value: [Int]",
            "init<T>(a: T) where T: P",
        ])
    func functionLength(head: String) {
        for (count, isFine) in [(68, true), (69, false)] {
            let body = String(repeating: "        if \"}\\(a(\"{\"))\" == b { c() } // {\n", count: count)
            let text = "struct S {\n    \(head) {\n\(body)    }\n    func short() {}\n}\n"
            let found = SourceRules.functionLength(file(text))
            #expect(found.isEmpty == isFine, "\(count)")
            #expect(found.allSatisfy { $0.line == 2 })
        }
    }

    @Test("declarations without a body have no length")
    func requirements() {
        let body = String(repeating: "        a()\n", count: 90)
        let closure = "protocol P {\n    func a() -> Int\n    var b: Int { get }\n    init()\n}\nlet c = {\n\(body)}\n"
        #expect(SourceRules.functionLength(file(closure)).isEmpty)
        let call = "func d() { self.init(a) }\nstruct S {\n\(body)}\nlet e = T.init(\n\(body))\n"
        #expect(SourceRules.functionLength(file(call)).isEmpty)
    }

    @Test("line length")
    func lineLength() {
        let line = String(repeating: "é", count: 120)
        #expect(SourceRules.lineLength(file(line + "\n")).isEmpty)
        #expect(SourceRules.lineLength(file("a\n" + line + "x\n")).map(\.line) == [2])
    }

    @Test(
        "leftovers",
        arguments: ["TO" + "DO: later", "// FIX" + "ME", "let a = \"/ho" + "me/me/x\"", "/ro" + "ot/.config"])
    func leftovers(text: String) {
        #expect(SourceRules.leftovers(file("good\n" + text, "docs/a.md")).map(\.line) == [2])
        #expect(SourceRules.leftovers(file("to do, fix me, at home/me")).isEmpty)
    }

    @Test(
        "file names",
        arguments: [
            ("Sources/CloudModel/TimeUtils.swift", false), ("Sources/CloudModel/StringHelper.swift", false),
            ("Sources/CloudModel/PoolManager.swift", false), ("Sources/CloudModel/Time.swift", true),
        ])
    func fileNames(path: String, isFine: Bool) {
        #expect(SourceRules.fileName(file("", path)).isEmpty == isFine)
    }

    @Test("comments and strings of every kind are blanked")
    func blanking() {
        let text = """
            let a = #"x\\" { "# + "\\(f("}", { 1 }))" /* { */ // {
            let b = \"\"\"
              { "quoted" \\(c) {
              \"\"\"; func d() {}
            """
        let source = SwiftSource(text)
        #expect(source.functions == [SwiftSource.Function(name: "d", line: 4, length: 1)])
        #expect(source.code.count == text.utf8.count)
    }
}
