import CloudModel
import Testing

@Suite struct ScalingScheduleTests {
    private func schedule(_ days: [ScalingSchedule.Day], _ from: String, _ until: String) throws -> ScalingSchedule {
        ScalingSchedule(
            days: days, from: try #require(TimeOfDay(from)), until: try #require(TimeOfDay(until)), minimumInstances: 2)
    }

    private func applies(_ schedule: ScalingSchedule, _ time: String) throws -> Bool {
        schedule.applies(at: try #require(Timestamp(rfc3339: time)))
    }

    @Test("it begins with its first minute and ends before its last")
    func hours() throws {
        let office = try schedule([], "08:00", "18:30")
        #expect(try !applies(office, "2026-11-26T07:59:59.999999Z"))
        #expect(try applies(office, "2026-11-26T08:00:00Z"))
        #expect(try applies(office, "2026-11-26T18:29:59Z"))
        #expect(try !applies(office, "2026-11-26T18:30:00Z"))
        #expect(try applies(office, "1969-12-31T09:00:00Z"), "also before 1970")
    }

    @Test("days count where it begins; 26 November 2026 is a Thursday")
    func days() throws {
        let thursday = try schedule([.thursday], "08:00", "18:00")
        #expect(try applies(thursday, "2026-11-26T09:00:00Z"))
        #expect(try !applies(thursday, "2026-11-25T09:00:00Z"))
        #expect(try !applies(thursday, "2026-11-27T09:00:00Z"))
        #expect(try applies(thursday, "1970-01-01T09:00:00Z"))
    }

    @Test("one that ends before it begins goes on into the next day")
    func overMidnight() throws {
        let night = try schedule([.thursday], "22:00", "06:00")
        #expect(try !applies(night, "2026-11-26T05:00:00Z"), "that is Wednesday's night")
        #expect(try applies(night, "2026-11-26T23:00:00Z"))
        #expect(try applies(night, "2026-11-27T05:59:00Z"))
        #expect(try !applies(night, "2026-11-27T06:00:00Z"))
        #expect(try !applies(night, "2026-11-27T23:00:00Z"))
    }

    @Test(
        "a time of day is two digits, a colon, two digits",
        arguments: ["8:00", "24:00", "08:60", "0800", "", "+1:00"])
    func badTimes(_ text: String) { #expect(TimeOfDay(text) == nil) }

    @Test func textReadsBack() throws { #expect(try #require(TimeOfDay("07:05")).text == "07:05") }
}
