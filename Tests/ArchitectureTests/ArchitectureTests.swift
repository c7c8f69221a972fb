import Testing

/// The house as it stands.
@Suite struct ArchitectureTests {
    private func check(_ rule: (RepositoryFile) -> [Violation]) {
        record(Repository.files.flatMap(rule))
    }

    private func record(_ violations: [Violation]) {
        for violation in violations { Issue.record("\(violation)") }
    }

    @Test("the work tree is found")
    func repository() {
        let paths = Repository.files.map(\.path)
        #expect(paths.contains("Package.swift"))
        #expect(paths.contains { $0.hasPrefix("Sources/CloudModel/") })
        #expect(paths.contains("Tests/ArchitectureTests/ArchitectureTests.swift"))
        #expect(!paths.contains { $0.contains("/.build") })
    }

    @Test("rooms import only what the table allows") func imports() { check(SourceRules.imports) }
    @Test("pure rooms have no clock, chance, task or output") func purity() { check(SourceRules.purity) }
    @Test("files are at most 500 lines") func fileLength() { check(SourceRules.fileLength) }
    @Test("functions are at most 70 lines") func functionLength() { check(SourceRules.functionLength) }
    @Test("lines are at most 120 columns") func lineLength() { check(SourceRules.lineLength) }
    @Test("nothing is left unfinished, no path of one machine") func leftovers() { check(SourceRules.leftovers) }
    @Test("file names say what is inside") func fileNames() { check(SourceRules.fileName) }

    @Test("every folder below Sources and Tests is a room")
    func rooms() {
        record(SourceRules.unknownRooms(Repository.files.map(\.path)))
    }
}

/// The table itself: it cannot be loosened past what the architecture says.
@Suite struct ImportTableTests {
    private static let impureModules: Set<String> = [
        "Dispatch", "Foundation", "FoundationEssentials", "FoundationNetworking", "Glibc", "Logging", "NIOCore",
        "NIOPosix", "Synchronization", "_Concurrency",
    ]

    @Test("each room is there once") func unique() {
        #expect(Set(House.rooms.map(\.name)).count == House.rooms.count)
        #expect(House.mechanisms.isSubset(of: House.rooms.map(\.name)))
        #expect(House.adapters.isSubset(of: House.rooms.map(\.name)))
    }

    @Test("pure rooms import no system")
    func pureRooms() {
        for room in House.rooms where room.kind == .pure {
            #expect(room.imports.isDisjoint(with: Self.impureModules), "\(room.name)")
        }
    }

    @Test("mechanisms do not import each other, adapters neither, and only the program imports adapters")
    func separation() {
        for room in House.rooms {
            if House.mechanisms.contains(room.name) {
                #expect(room.imports.isDisjoint(with: House.mechanisms), "\(room.name)")
            }
            if room.kind != .program {
                #expect(room.imports.isDisjoint(with: House.adapters), "\(room.name)")
            }
        }
    }

    @Test("no room imports in a circle")
    func noCircles() {
        var reached: [String: Set<String>] = [:]
        let byName = Dictionary(uniqueKeysWithValues: House.rooms.map { ($0.name, $0.imports) })
        for room in House.rooms.map(\.name) {
            var open = [room]
            while let next = open.popLast() {
                for module in (byName[next] ?? []).sorted() where !(reached[room, default: []].contains(module)) {
                    reached[room, default: []].insert(module)
                    open.append(module)
                }
            }
            #expect(!(reached[room] ?? []).contains(room), "\(room)")
        }
    }
}
