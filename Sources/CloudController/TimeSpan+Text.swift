import CloudModel

extension TimeSpan {
    /// For people: `2 s`, `200 ms`, `1.5 s`.
    var text: String {
        let milliseconds = microseconds / 1_000
        if milliseconds < 1_000 { return "\(milliseconds) ms" }
        let tenths = (milliseconds + 50) / 100
        return tenths % 10 == 0 ? "\(tenths / 10) s" : "\(tenths / 10).\(tenths % 10) s"
    }
}
