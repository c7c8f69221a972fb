/// A row as a line of COPY's text format, to the byte as PostgreSQL writes it (manual, COPY, "Text Format").
package enum CopyLine {
    package static func append(_ row: [StoredValue], of table: LogTable, to bytes: inout [UInt8]) {
        for (index, column) in table.columns.enumerated() {
            if index > 0 { bytes.append(UInt8(ascii: "\t")) }
            switch (row[index], column.kind) {
            case (.null, _): bytes += Array("\\N".utf8)
            case (.integer(let number), .flag): bytes.append(UInt8(ascii: number == 0 ? "f" : "t"))
            case (.integer(let number), _): bytes += Array(String(number).utf8)
            case (.text(let text), .document): append(SQLText.encoded(text), to: &bytes)
            case (.text(let text), _): append(text, to: &bytes)
            case (.bytes(let content), _):
                bytes += Array("\\\\x".utf8)
                for byte in content {
                    bytes.append(digits[Int(byte >> 4)])
                    bytes.append(digits[Int(byte & 15)])
                }
            }
        }
        bytes.append(UInt8(ascii: "\n"))
    }

    private static let digits = Array("0123456789abcdef".utf8)

    private static func append(_ text: String, to bytes: inout [UInt8]) {
        for byte in text.utf8 {
            let letter: Unicode.Scalar? =
                switch byte {
                case 0x08: "b"
                case 0x09: "t"
                case 0x0A: "n"
                case 0x0B: "v"
                case 0x0C: "f"
                case 0x0D: "r"
                case 0x5C: "\\"
                default: nil
                }
            guard let letter else {
                bytes.append(byte)
                continue
            }
            bytes += [0x5C, UInt8(ascii: letter)]
        }
    }
}
