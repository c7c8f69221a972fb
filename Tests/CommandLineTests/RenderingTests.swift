import AdministrationAPI
import CloudModel
import Testing
import cloudwright

@Suite struct RenderingTests {
    @Test("columns are as wide as the terminal shows them")
    func width() {
        #expect(Table.width("abc") == 3)
        #expect(Table.width("公司") == 4)
        #expect(Table.width("e\u{301}") == 1)
        #expect(Table.width("\u{200B}") == 0)
        var table = Table(.left("name"), .right("count"))
        table.add("公司", Table.Cell(7))
        table.add("ab", Table.Cell(1_234))
        #expect(table.rendered(inColour: false) == "NAME  COUNT\n公司      7\nab     1234\n")
    }

    @Test("colour changes no column, and is there only where it is wanted")
    func colour() {
        var table = Table(.left("state"), .left("name"))
        table.add(Table.Cell("up", .good), "a")
        table.add(Table.Cell("down", .bad), "b")
        #expect(table.rendered(inColour: false) == "STATE  NAME\nup     a\ndown   b\n")
        #expect(
            table.rendered(inColour: true) == "STATE  NAME\n\u{1B}[32mup\u{1B}[0m     a\n\u{1B}[31mdown\u{1B}[0m   b\n")
    }

    @Test("no line ends in spaces, so that a table can be copied")
    func lineEnds() {
        var table = Table(.left("a"), .left("b"))
        table.add("x", "")
        table.add("y", "long")
        #expect(table.rendered(inColour: false) == "A  B\nx  \ny  long\n".replacing("x  \n", with: "x\n"))
    }

    @Test("nothing that steers a terminal gets through")
    func printable() { #expect(Table.printable("a\u{1B}[2J\r\nb\u{9B}") == "a\u{FFFD}[2J\u{FFFD}\u{FFFD}b\u{FFFD}") }

    @Test(
        "lengths of time are readable",
        arguments: [
            (0, "0 s"), (999, "999 us"), (1_000, "1.0 ms"), (20_000, "20.0 ms"), (1_250_000, "1.25 s"),
            (119_994_999, "119.99 s"), (120_000_000, "2 min 0 s"),
            (7_199_000_000, "119 min 59 s"), (7_200_000_000, "2 h 0 min"), (172_800_000_000, "2 d 0 h"),
        ] as [(Int64, String)])
    func durations(microseconds: Int64, text: String) {
        #expect(Formats.duration(microseconds: microseconds) == text)
    }

    @Test(
        "sizes are readable",
        arguments: [(0, "0 B"), (1_023, "1023 B"), (1_024, "1.0 KiB"), (1_572_864, "1.5 MiB"), (1 << 50, "1024.0 TiB")])
    func sizes(bytes: Int, text: String) { #expect(Formats.bytes(bytes) == text) }

    @Test("times are shown in UTC, and absent ones as a dash")
    func times() {
        let moment = Moment(rfc3339: "2026-11-24T02:30:05.123456Z")
        #expect(Formats.time(moment) == "2026-11-24 02:30:05")
        #expect(Formats.clock(moment) == "02:30:05.123")
        #expect(Formats.time(nil) == "-")
        #expect(Formats.sinceStart(1_500_000) == "+1.500000 s")
        #expect(Formats.sinceStart(-250_000) == "+-0.250000 s".replacing("+-", with: "-"))
    }

    @Test("resource seconds become hours")
    func hours() {
        #expect(Formats.hours(ofSeconds: "1800000", per: 1_000) == "0.500")
        #expect(Formats.hours(ofSeconds: "x", per: 1) == "-")
    }

    @Test("times are typed as lengths before or after now, or as they are")
    func typed() {
        let now = Timestamp(microseconds: 1_000_000_000_000)
        #expect(TypedTime.past("2h", now: now) == now - .hours(2))
        #expect(TypedTime.future("90d", now: now) == now + .hours(90 * 24))
        #expect(TypedTime.past("2026-11-24", now: now)?.rfc3339 == "2026-11-24T00:00:00.000000Z")
        #expect(TypedTime.past("2026-11-24T01:00:00+01:00", now: now)?.rfc3339 == "2026-11-24T00:00:00.000000Z")
        for text in ["", "h", "-1h", "0h", "1w", "1.5h", "99999999999999999999s", "yesterday"] {
            #expect(TypedTime.span(text) == nil, "\(text)")
        }
    }
}
