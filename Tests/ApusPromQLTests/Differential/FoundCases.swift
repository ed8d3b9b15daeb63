import ApusBytes
import ApusPromQL
import Testing

/// What the comparison with a real Prometheus found, each as small as it could be made.
@Suite("Found by random expressions") struct FoundCases {
    @Test("calendar functions of what is no time")
    func calendar() throws {
        let engine = QueryEngine()
        func value(_ query: String) throws -> Double? {
            guard case .vector(let samples) = try engine.instant(ByteString(query), atMs: 0, on: MemoryStorage()).value else { return nil }
            return samples.first?.value
        }
        for number in ["NaN", "Inf", "-Inf", "1e300"] {
            #expect(try value("minute(vector(\(number)))") == 30)
            #expect(try value("hour(vector(\(number)))") == 15)
            #expect(try value("day_of_week(vector(\(number)))") == 0)
            #expect(try value("day_of_month(vector(\(number)))") == 4)
            #expect(try value("month(vector(\(number)))") == 12)
            #expect(try value("year(vector(\(number)))") == 292_277_026_596)
        }
        #expect(try value("year(vector(-1e15))") == -31_686_769)
    }

    private func failures(_ script: String) -> [String] {
        ScriptRunner().run([UInt8](script.utf8), name: "found").failures
    }

    @Test("ties of topk and bottomk fall as they do from a heap")
    func ties() {
        let failures = failures(
            """
            load 1m
              m{i="a"} 5
              m{i="b"} 5
              m{i="c"} 3
              m{i="d"} 5

            # a lies on top of the heap when c comes.
            eval instant at 0 bottomk(2, m)
              expect ordered
              m{i="c"} 3
              m{i="b"} 5

            eval instant at 0 topk(2, m)
              expect ordered
              m{i="a"} 5
              m{i="b"} 5
            """)
        #expect(failures == [])
    }

    @Test("an operand of which nothing is picked may fail all the same")
    func nothingPicked() throws {
        let storage = MemoryStorage()
        try storage.append(["__name__": "a"], timestampMs: 0, value: 1)
        try storage.append(["__name__": "b"], timestampMs: 0, value: 1)
        for pick in ["topk(0, %)", "bottomk(-1, %)"] {
            let query = pick.replacing("%", with: "-{__name__=~\"a|b\"}")
            #expect(throws: QueryError.self) { try QueryEngine().instant(ByteString(query), atMs: 0, on: storage) }
        }
    }

    @Test("bool drops a name that group_left brought")
    func namesOfBool() throws {
        let storage = MemoryStorage()
        try storage.append(["__name__": "a", "x": "1"], timestampMs: 0, value: 1)
        try storage.append(["__name__": "b", "x": "1"], timestampMs: 0, value: 2)
        func labels(_ query: String) throws -> String {
            guard case .vector(let samples) = try QueryEngine().instant(ByteString(query), atMs: 0, on: storage).value else { return "" }
            return samples.map { "\($0.labels)" }.joined()
        }
        #expect(try labels("a < bool on (x) group_left (__name__) b") == "{x=\"1\"}")
        #expect(try labels("a * on (x) group_left (__name__) b") == "{__name__=\"b\", x=\"1\"}")
    }
}
