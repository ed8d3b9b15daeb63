import ApusBytes
import ApusServer

/// JSON that was read, written again.
struct JSONOutput {
    private(set) var text = ""

    mutating func raw(_ piece: String) { text += piece }

    mutating func string(_ value: ByteString) {
        var json = JSONWriter()
        json.string(value)
        text += String(decoding: json.bytes, as: UTF8.self)
    }

    mutating func list(_ values: [JSONValue]) {
        text += "["
        for (index, value) in values.enumerated() {
            if index > 0 { text += "," }
            value.write(to: &self)
        }
        text += "]"
    }

    mutating func members(_ members: [(name: ByteString, value: JSONValue)]) {
        text += "{"
        for (index, member) in members.enumerated() {
            if index > 0 { text += "," }
            string(member.name)
            text += ":"
            member.value.write(to: &self)
        }
        text += "}"
    }
}
