/// Text in aligned columns, for people.
package struct Table {
    package enum Alignment { case left, right }

    /// What a cell's colour says; shown only where colours are wanted.
    package enum Tone: String {
        case plain = ""
        case good = "32"
        case doubtful = "33"
        case bad = "31"
        case quiet = "2"
    }

    package struct Column {
        var title: String
        var alignment: Alignment

        package static func left(_ title: String) -> Column { Column(title: title, alignment: .left) }
        package static func right(_ title: String) -> Column { Column(title: title, alignment: .right) }
    }

    package struct Cell: ExpressibleByStringInterpolation {
        var text: String
        var tone = Tone.plain

        package init(_ text: String, _ tone: Tone = .plain) {
            self.text = text
            self.tone = tone
        }

        package init(stringLiteral value: String) { self.init(value) }
        /// Nothing is shown as a dash, so that columns can be cut out by programs.
        package init(_ text: String?) { self.init(text ?? "-", text == nil ? .quiet : .plain) }
        package init(_ number: some BinaryInteger) { self.init(String(number)) }
        package init(_ number: (some BinaryInteger)?) { self.init(number.map { String($0) }) }
    }

    var columns: [Column]
    var rows: [[Cell]] = []

    package init(_ columns: Column...) { self.columns = columns }

    package mutating func add(_ cells: Cell...) {
        precondition(cells.count == columns.count, "a row has as many cells as there are columns")
        rows.append(cells)
    }

    package func rendered(inColour: Bool) -> String {
        let widths = columns.indices.map { column in
            max(Self.width(columns[column].title), rows.map { Self.width($0[column].text) }.max() ?? 0)
        }
        let title = line(columns.map { Cell($0.title.uppercased()) }, widths, inColour: false)
        return ([title] + rows.map { line($0, widths, inColour: inColour) }).joined(separator: "\n") + "\n"
    }

    private func line(_ cells: [Cell], _ widths: [Int], inColour: Bool) -> String {
        var line = ""
        for (index, cell) in cells.enumerated() {
            let gap = String(repeating: " ", count: widths[index] - Self.width(cell.text))
            let text =
                inColour && cell.tone != .plain ? "\u{1B}[\(cell.tone.rawValue)m\(cell.text)\u{1B}[0m" : cell.text
            let isLast = index == cells.count - 1
            switch columns[index].alignment {
            case .left: line += isLast ? text : text + gap + "  "
            case .right: line += gap + text + (isLast ? "" : "  ")
            }
        }
        while line.hasSuffix(" ") { line.removeLast() }
        return line
    }

    /// How many columns of a terminal the text takes: none for combining marks, two for East Asian wide characters
    /// (Unicode Standard Annex 11).
    package static func width(_ text: String) -> Int {
        text.unicodeScalars.reduce(0) { width, scalar in
            switch scalar.properties.generalCategory {
            case .nonspacingMark, .enclosingMark, .format, .control: return width
            default: return width + (isWide(scalar) ? 2 : 1)
            }
        }
    }

    private static func isWide(_ scalar: UnicodeScalar) -> Bool {
        switch scalar.value {
        case 0x1100...0x115F, 0x2E80...0x303E, 0x3041...0xA4CF, 0xAC00...0xD7A3, 0xF900...0xFAFF, 0xFE30...0xFE4F,
            0xFF00...0xFF60, 0xFFE0...0xFFE6, 0x1F300...0x1F64F, 0x1F900...0x1F9FF, 0x20000...0x3FFFD:
            true
        default: false
        }
    }

    /// Control characters are not let through to the terminal.
    package static func printable(_ text: String) -> String {
        String(
            String.UnicodeScalarView(
                text.unicodeScalars.map { $0.properties.generalCategory == .control ? "\u{FFFD}" : $0 }))
    }
}
