/// Values of a file that no type of the model reads by itself.
enum ScalarText {
    /// `200-399`, or one status.
    static func statusRange(_ text: String) -> ClosedRange<Int>? {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard (1...2).contains(parts.count), let lower = wholeNumber(parts[0]),
            let upper = wholeNumber(parts[parts.count - 1]), lower <= upper
        else { return nil }
        return lower...upper
    }

    static func text(_ range: ClosedRange<Int>) -> String {
        range.count == 1 ? String(range.lowerBound) : "\(range.lowerBound)-\(range.upperBound)"
    }

    /// Digits only: no sign, no underscores.
    static func wholeNumber(_ text: some StringProtocol) -> Int? {
        guard !text.isEmpty, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        return Int(text)
    }
}
