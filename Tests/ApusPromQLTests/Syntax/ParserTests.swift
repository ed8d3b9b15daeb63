import ApusBytes
import Testing

@testable import ApusPromQL

@Suite("Parser") struct ParserTests {
    @Test("reads each form and prints it canonically", arguments: forms)
    func reads(_ query: String, _ type: ValueType, _ canonical: String) throws {
        let expression = try parseExpression(ByteString(query), options: .experimentalFunctions)
        #expect(expression.type == type, "\(query)")
        #expect(expression.description == canonical, "\(query)")
        expression.checkInvariants()
    }

    @Test("reads what stands behind a flag", arguments: [
        ("x[5m] anchored @ 10 offset 5m", "x[5m] anchored @ 10.000 offset 5m"),
        ("rate(x[5m] smoothed)", "rate(x[5m] smoothed)"),
        ("x offset 5m smoothed", "x smoothed offset 5m"),
        ("a + fill(0) b", "a + fill (0) b"),
        ("a + on(x) group_left(y) fill_left(-1.5) fill_right(1e30) b", "a + on (x) group_left (y) fill_left (-1.5) fill_right (1e+30) b"),
        ("a + on(x) group_right fill(Inf) b", "a + on (x) group_right () fill (+Inf) b"),
        ("fill + fill_left", "fill + fill_left"),
        ("x[step()]", "x[step()]"),
        ("x[min_of(step() * 2, 5m):max_of(1, range() / 10)]", "x[min_of(step() * 2, 5m):max_of(1, range() / 10)]"),
        ("x[5m + range()]", "x[5m + range()]"),
        ("x[-(step() - 2 * range()) ^ 2 ^ 3]", "x[-(step() - 2 * range()) ^ 2 ^ 3]"),
        ("x offset -step()", "x offset -step()"),
        ("x offset -(step() + 5m) * 2", "x offset -(step() + 5m) * 2"),
        ("x offset min_of(1m, step())", "x offset min_of(1m, step())"),
        ("start() + end() - step() / range()", "start() + end() - step() / range()"),
        ("max_of(1, min_of(2, 3))", "max_of(1, min_of(2, 3))"),
        ("start + end + step + range + min_of", "start + end + step + range + min_of"),
        ("a </ b >/ c", "a </ b >/ c"),
    ])
    func flagged(_ query: String, _ canonical: String) throws {
        let expression = try parseExpression(ByteString(query), options: .everything)
        #expect(expression.description == canonical)
        expression.checkInvariants()
    }

    @Test("operators bind as documented", arguments: [
        ("a or b and c == d + e * f ^ g", "(a or (b and (c == (d + (e * (f ^ g))))))"),
        ("a ^ b ^ c", "(a ^ (b ^ c))"),
        ("a - b - c", "((a - b) - c)"),
        ("a * b / c % d atan2 e", "((((a * b) / c) % d) atan2 e)"),
        ("-a ^ b * c", "((-(a ^ b)) * c)"),
        ("a ^ -b ^ c", "(a ^ (-(b ^ c)))"),
        ("a ^ -b * c", "((a ^ (-b)) * c)"),
        ("a < b == c", "((a < b) == c)"),
        ("a and b unless c or d", "(((a and b) unless c) or d)"),
    ])
    func precedence(_ query: String, _ shape: String) throws {
        let expression = try parseExpression(ByteString(query))
        #expect(expression.shape(expression.root) == shape)
    }

    @Test("keeps where each node came from") func ranges() throws {
        let expression = try parseExpression("  sum by (a) (rate(x{b=\"c\"}[5m] offset 1m)) + -y  ")
        let texts = expression.nodes.indices.map { expression.text(of: NodeID($0)) }
        #expect(texts == [
            #"x{b="c"}"#, #"x{b="c"}[5m] offset 1m"#, #"rate(x{b="c"}[5m] offset 1m)"#,
            #"sum by (a) (rate(x{b="c"}[5m] offset 1m))"#, "y", "-y", #"sum by (a) (rate(x{b="c"}[5m] offset 1m)) + -y"#,
        ])
    }

    @Test("puts offset and @ on the selector within a range") func modifiers() throws {
        let expression = try parseExpression("x[5m] offset -90s @ 1.5")
        guard case .matrixSelector(let matrix) = expression[expression.root].kind,
            case .vectorSelector(let selector) = expression[matrix.selector].kind
        else { Issue.record("not a range selector"); return }
        #expect(matrix.range == .milliseconds(300_000))
        #expect(selector.offset == .milliseconds(-90_000))
        #expect(selector.at == .timestampMs(1_500))
        #expect(selector.name == "x" && selector.matchers.map(\.name) == ["__name__"])
    }

    @Test("vectors match many-to-many under set operators, and scalars not at all") func matching() throws {
        func matching(_ query: ByteString) throws -> VectorMatching? {
            let expression = try parseExpression(query)
            guard case .binary(let binary) = expression[expression.root].kind else { return nil }
            return binary.matching
        }
        #expect(try matching("a and on(x) b") == VectorMatching(cardinality: .manyToMany, labels: ["x"], isOn: true))
        #expect(try matching("a + b") == VectorMatching())
        #expect(try matching("a + 1") == nil)
        #expect(try matching("a * ignoring(x) group_left(y) b") == VectorMatching(cardinality: .manyToOne, labels: ["x"], include: ["y"]))
    }

    @Test("formulas of durations know the query's step and range", arguments: [
        ("x[step() * 2]", 120_000), ("x[range() / 4]", 900_000), ("x[min_of(range(), 10m)]", 600_000),
        ("x[max_of(step(), 10s) + 1500ms]", 61_500), ("x[(2 ^ 3) * 1s]", 8_000), ("x[10m % 7]", 5_000), ("x[1h - -(5)]", 3_605_000),
    ])
    func durations(_ query: String, _ expected: Int64) throws {
        let expression = try parseExpression(ByteString(query))
        guard case .matrixSelector(let matrix) = expression[expression.root].kind else { Issue.record("not a range"); return }
        #expect(try matrix.range.milliseconds(stepMs: 60_000, rangeMs: 3_600_000) == expected)
    }

    @Test("formulas that come to nothing are errors when they are known", arguments: [
        ("x[step()]", "1:3: parse error: duration must be greater than 0"),
        ("x[5m / step()]", "1:8: parse error: division by zero"),
        ("x[5m % (2 - 2)]", "1:8: parse error: modulo by zero"),
        ("x[10 ^ 300]", "1:3: parse error: duration out of range"),
    ])
    func durationFaults(_ query: String, _ message: String) throws {
        let expression = try parseExpression(ByteString(query))
        guard case .matrixSelector(let matrix) = expression[expression.root].kind else { Issue.record("not a range"); return }
        do throws(ParseError) {
            let value = try matrix.range.milliseconds(stepMs: 0, rangeMs: 0)
            Issue.record("no error but \(value)")
        } catch {
            #expect(error.message == message)
        }
    }

    @Test("selectors for match[]") func selectors() throws {
        #expect(try parseSelector("up").map(\.description) == [#"__name__="up""#])
        #expect(try parseSelector(#"sum{a="b",c!~"d"}"#).map(\.description) == [#"a="b""#, #"c!~"d""#, #"__name__="sum""#])
        #expect(try parseSelector(#"{"my.metric","l.a"="v"}"#).map(\.description) == [#"__name__="my.metric""#, #"l.a="v""#])
        #expect(try parseSelector(#"{a=~".*"}"#).isSelective == false)
        #expect(try parseSelector("{}").isSelective == false)
        #expect(try parseSelector("{a!=\"\"}").isSelective)
        for (text, message) in [
            ("", "1:1: parse error: unexpected end of input"), ("up[5m]", #"1:3: parse error: unexpected "[""#),
            ("up offset 5m", "1:4: parse error: unexpected <offset>"), ("1", #"1:1: parse error: unexpected number "1""#),
        ] {
            do throws(ParseError) {
                _ = try parseSelector(ByteString(text))
                Issue.record("\(text) is no selector")
            } catch {
                #expect(error.message == message)
            }
        }
    }

    @Test("every function is in the table once, with arguments that can be given") func functions() {
        #expect(Set(FunctionDefinition.all.map(\.name)) == Set(FunctionName.allCases))
        #expect(FunctionDefinition.all.count == FunctionName.allCases.count)
        for function in FunctionDefinition.all {
            #expect(function.variadic == 0 || !function.argumentTypes.isEmpty, "\(function.name)")
            #expect(FunctionDefinition.named(function.name.rawValue) == function)
        }
    }

    static let forms: [(String, ValueType, String)] = [
        ("sum", .instantVector, "sum"),
        ("limitk(1,x)", .instantVector, "limitk(1, x)"),
        ("foo[step()*0]", .rangeVector, "foo[step() * 0]"),
        ("1", .scalar, "1"),
        ("+Inf", .scalar, "+Inf"),
        ("-Inf", .scalar, "-Inf"),
        ("inf", .scalar, "+Inf"),
        ("NaN", .scalar, "NaN"),
        (".5", .scalar, "0.5"),
        ("5.", .scalar, "5"),
        ("123.4567", .scalar, "123.4567"),
        ("5e-3", .scalar, "0.005"),
        ("5e3", .scalar, "5000"),
        ("0xc", .scalar, "12"),
        ("0755", .scalar, "493"),
        ("089", .scalar, "89"),
        ("1_000", .scalar, "1000"),
        ("1_000.5", .scalar, "1000.5"),
        ("0x_1f", .scalar, "31"),
        ("0X1F", .scalar, "31"),
        ("1e-400", .scalar, "0"),
        ("1e21", .scalar, "1000000000000000000000"),
        ("1e-7", .scalar, "0.0000001"),
        ("123456789012345678901234567890", .scalar, "123456789012345680000000000000"),
        ("-0", .scalar, "-0"),
        ("1h30m", .scalar, "1h30m"),
        ("1d", .scalar, "1d"),
        ("90d", .scalar, "90d"),
        ("1y", .scalar, "1y"),
        ("2w", .scalar, "2w"),
        ("1y1d", .scalar, "366d"),
        ("1500ms", .scalar, "1s500ms"),
        ("1s1ms", .scalar, "1s1ms"),
        ("1 + 1", .scalar, "1 + 1"),
        ("1 == bool 1", .scalar, "1 == bool 1"),
        ("-1^2", .scalar, "-1 ^ 2"),
        ("-1*2", .scalar, "-1 * 2"),
        ("-1^-2", .scalar, "-1 ^ -2"),
        ("+1 + -2 * 1", .scalar, "1 + -2 * 1"),
        ("1 + 2/(3*1)", .scalar, "1 + 2 / (3 * 1)"),
        ("1 < bool 2 - 1 * 2", .scalar, "1 < bool 2 - 1 * 2"),
        ("- some_metric", .instantVector, "-some_metric"),
        ("+some_metric", .instantVector, "+some_metric"),
        (#" +{"some_metric"}"#, .instantVector, #"+{__name__="some_metric"}"#),
        ("- -1", .scalar, "1"),
        ("- - foo", .instantVector, "--foo"),
        ("2^3^2", .scalar, "2 ^ 3 ^ 2"),
        ("(2^3)^2", .scalar, "(2 ^ 3) ^ 2"),
        ("1 - 2 - 3", .scalar, "1 - 2 - 3"),
        ("foo * on(a) bar", .instantVector, "foo * on (a) bar"),
        ("foo * ignoring() bar", .instantVector, "foo * bar"),
        ("foo * on() bar", .instantVector, "foo * on () bar"),
        ("foo * on (a,b,) group_left(c) bar", .instantVector, "foo * on (a, b) group_left (c) bar"),
        (#"foo * on("a.b") group_left("c.d", e) bar"#, .instantVector, #"foo * on ("a.b") group_left ("c.d", e) bar"#),
        ("foo == bool bar", .instantVector, "foo == bool bar"),
        ("foo == bool on(a) bar", .instantVector, "foo == bool on (a) bar"),
        ("foo and on(a) bar", .instantVector, "foo and on (a) bar"),
        ("foo or bar unless baz and qux", .instantVector, "foo or bar unless baz and qux"),
        ("foo + bar or bla and blub", .instantVector, "foo + bar or bla and blub"),
        ("foo and bar unless baz or qux", .instantVector, "foo and bar unless baz or qux"),
        ("bar + on(foo) bla / on(baz, buz) group_right(test) blub", .instantVector, "bar + on (foo) bla / on (baz, buz) group_right (test) blub"),
        ("foo + ignoring(a) group_right() bar", .instantVector, "foo + ignoring (a) group_right () bar"),
        ("foo * ignoring(a) group_left(a) bar", .instantVector, "foo * ignoring (a) group_left (a) bar"),
        ("1 + on() foo", .instantVector, "1 + foo"),
        ("foo == on(x) group_left bar", .instantVector, "foo == on (x) group_left () bar"),
        (#"foo{a="b",}"#, .instantVector, #"foo{a="b"}"#),
        (#"foo{a=~"b.*",c!~"d",e!="f"}"#, .instantVector, #"foo{a=~"b.*",c!~"d",e!="f"}"#),
        (#"{__name__=~".+"}"#, .instantVector, #"{__name__=~".+"}"#),
        (#"{__name__="foo"}"#, .instantVector, #"{__name__="foo"}"#),
        (#"{__name__="foo",a="b"}"#, .instantVector, #"{__name__="foo",a="b"}"#),
        (#"{"foo"}"#, .instantVector, #"{__name__="foo"}"#),
        (#"{"foo.bar"}"#, .instantVector, #"{__name__="foo.bar"}"#),
        (#"{"foo.bar","a.b"="c"}"#, .instantVector, #"{"a.b"="c",__name__="foo.bar"}"#),
        (#"{"a.b"=~"c"}"#, .instantVector, #"{"a.b"=~"c"}"#),
        (#"{"foo","bar"}"#, .instantVector, #"{__name__="bar",__name__="foo"}"#),
        (#"{a="x", "y"}"#, .instantVector, #"{__name__="y",a="x"}"#),
        ("foo{a='b',c=`d`}", .instantVector, #"foo{a="b",c="d"}"#),
        (#"foo{a="\x41\u00e9\n\t\""}"#, .instantVector, #"foo{a="Aé\n\t\""}"#),
        ("foo[300]", .rangeVector, "foo[5m]"),
        ("foo[5m:1m]", .rangeVector, "foo[5m:1m]"),
        ("foo[5m:]", .rangeVector, "foo[5m:]"),
        ("foo[5m+1m]", .rangeVector, "foo[5m + 1m]"),
        ("foo[5m * 2]", .rangeVector, "foo[5m * 2]"),
        ("foo[(5m)]", .rangeVector, "foo[(5m)]"),
        ("foo[(5m+1m)*2]", .rangeVector, "foo[(5m + 1m) * 2]"),
        ("foo[-(5m)]", .rangeVector, "foo[-(5m)]"),
        ("foo[5m^2]", .rangeVector, "foo[5m ^ 2]"),
        ("foo[5m - 10m]", .rangeVector, "foo[5m - 10m]"),
        ("foo offset 5m", .instantVector, "foo offset 5m"),
        ("foo offset -5m", .instantVector, "foo offset -5m"),
        ("foo offset +5m", .instantVector, "foo offset 5m"),
        ("foo offset 300", .instantVector, "foo offset 5m"),
        ("foo offset -1.5", .instantVector, "foo offset -1s500ms"),
        ("foo offset 0", .instantVector, "foo"),
        ("foo offset (5m)", .instantVector, "foo offset (5m)"),
        ("foo offset (5m+1m)", .instantVector, "foo offset (5m + 1m)"),
        ("foo offset -(5m+1m)", .instantVector, "foo offset -(5m + 1m)"),
        ("foo offset 5m * 2", .instantVector, "foo offset 5m * 2"),
        ("foo offset -2^2", .instantVector, "foo offset -2s ^ 2"),
        ("foo offset 5m + bar", .instantVector, "foo offset 5m + bar"),
        ("foo[5m] offset 1h", .rangeVector, "foo[5m] offset 1h"),
        ("foo[5m] @ 10", .rangeVector, "foo[5m] @ 10.000"),
        ("foo[5m] @ 10 offset 5m", .rangeVector, "foo[5m] @ 10.000 offset 5m"),
        ("foo[5m] offset 5m @ 10", .rangeVector, "foo[5m] @ 10.000 offset 5m"),
        ("foo @ start()", .instantVector, "foo @ start()"),
        ("foo @ end()", .instantVector, "foo @ end()"),
        ("foo @ -10", .instantVector, "foo @ -10.000"),
        ("foo @ +10.5", .instantVector, "foo @ 10.500"),
        ("foo @ 1603774568.123", .instantVector, "foo @ 1603774568.123"),
        ("foo @ 1603774568.1235", .instantVector, "foo @ 1603774568.124"),
        ("foo @ 1h", .instantVector, "foo @ 3600.000"),
        ("sum(foo)[5m:1m] offset 5m @ 10", .rangeVector, "sum(foo)[5m:1m] @ 10.000 offset 5m"),
        ("rate(foo[5m])[5m:1m]", .rangeVector, "rate(foo[5m])[5m:1m]"),
        (#"min_over_time(rate(foo{bar="baz"}[2s])[5m:] offset 4m)[4m:3s]"#, .rangeVector, #"min_over_time(rate(foo{bar="baz"}[2s])[5m:] offset 4m)[4m:3s]"#),
        ("sum(foo) by (a)", .instantVector, "sum by (a) (foo)"),
        ("sum by (a) (foo)", .instantVector, "sum by (a) (foo)"),
        ("sum by (a,b,) (foo)", .instantVector, "sum by (a, b) (foo)"),
        ("sum by () (foo)", .instantVector, "sum(foo)"),
        ("sum without () (foo)", .instantVector, "sum without () (foo)"),
        ("sum without(a) (foo)", .instantVector, "sum without (a) (foo)"),
        ("sum(foo) without (a)", .instantVector, "sum without (a) (foo)"),
        ("SUM BY (a) (foo)", .instantVector, "sum by (a) (foo)"),
        (#"sum by ("a.b", c) (foo)"#, .instantVector, #"sum by ("a.b", c) (foo)"#),
        ("sum by (bool, on, by, offset, and, or, sum, start, end, group_left) (foo)", .instantVector, "sum by (bool, on, by, offset, and, or, sum, start, end, group_left) (foo)"),
        ("sum by (foo:bar) (x)", .instantVector, #"sum by ("foo:bar") (x)"#),
        (#"count_values("x", foo)"#, .instantVector, #"count_values("x", foo)"#),
        ("topk(3, foo)", .instantVector, "topk(3, foo)"),
        ("quantile(0.9, foo)", .instantVector, "quantile(0.9, foo)"),
        ("limit_ratio(0.5, foo)", .instantVector, "limit_ratio(0.5, foo)"),
        (#"label_replace(foo, "a", "b", "c", "d")"#, .instantVector, #"label_replace(foo, "a", "b", "c", "d")"#),
        (#"label_join(foo, "a", "b", "c", "d", "e")"#, .instantVector, #"label_join(foo, "a", "b", "c", "d", "e")"#),
        ("hour()", .instantVector, "hour()"),
        ("hour(foo)", .instantVector, "hour(foo)"),
        ("time()", .scalar, "time()"),
        ("pi()", .scalar, "pi()"),
        ("vector(1)", .instantVector, "vector(1)"),
        ("scalar(foo)", .scalar, "scalar(foo)"),
        ("absent(foo)", .instantVector, "absent(foo)"),
        (#"sort_by_label(foo, "a")"#, .instantVector, #"sort_by_label(foo, "a")"#),
        ("info(foo)", .instantVector, "info(foo)"),
        (#"info(foo, {a="b"})"#, .instantVector, #"info(foo, {a="b"})"#),
        (#"info(foo, {a=""})"#, .instantVector, #"info(foo, {a=""})"#),
        ("info(foo, {})", .instantVector, "info(foo, {})"),
        ("quantile_over_time(0.5, foo[5m])", .instantVector, "quantile_over_time(0.5, foo[5m])"),
        ("predict_linear(foo[5m], 3600)", .instantVector, "predict_linear(foo[5m], 3600)"),
        ("double_exponential_smoothing(foo[5m], 0.5, 0.5)", .instantVector, "double_exponential_smoothing(foo[5m], 0.5, 0.5)"),
        ("a:b", .instantVector, "a:b"),
        (":a", .instantVector, ":a"),
        (#"a:b:c{d="e"}"#, .instantVector, #"a:b:c{d="e"}"#),
        ("start", .instantVector, "start"),
        ("end", .instantVector, "end"),
        ("offset", .instantVector, "offset"),
        ("offset offset 5m", .instantVector, "offset offset 5m"),
        ("by", .instantVector, "by"),
        ("without", .instantVector, "without"),
        ("and", .instantVector, "and"),
        ("or or or", .instantVector, "or or or"),
        ("and and and", .instantVector, "and and and"),
        ("unless unless unless", .instantVector, "unless unless unless"),
        ("foo atan2 bar", .instantVector, "foo atan2 bar"),
        ("sum offset 5m", .instantVector, "sum offset 5m"),
        ("sum + sum", .instantVector, "sum + sum"),
        (#"sum{a="b"}"#, .instantVector, #"sum{a="b"}"#),
        ("count(count)", .instantVector, "count(count)"),
        ("foo # comment", .instantVector, "foo"),
        ("foo # comment\n + bar", .instantVector, "foo + bar"),
        ("foo{ # hm\n a=\"b\"}", .instantVector, #"foo{a="b"}"#),
        ("foo{a=\"b\" # x\n}", .instantVector, #"foo{a="b"}"#),
        ("foo >= bar", .instantVector, "foo >= bar"),
        (#""abc""#, .string, #""abc""#),
        ("'abc'", .string, #""abc""#),
        (#"`a\nb`"#, .string, #""a\\nb""#),
        (#""héllo""#, .string, #""héllo""#),
        (#""\xff""#, .string, #""\xff""#),
        (#""日本語""#, .string, #""日本語""#),
        ("(1)", .scalar, "(1)"),
        ("foo > bool bar == bool baz", .instantVector, "foo > bool bar == bool baz"),
        ("a @ 1 + b @ 2", .instantVector, "a @ 1.000 + b @ 2.000"),
        ("foo offset 1y2w3d4h5m6s7ms", .instantVector, "foo offset 382d4h5m6s7ms"),
        ("foo[1y2w3d4h5m6s7ms]", .rangeVector, "foo[382d4h5m6s7ms]"),
        ("foo[0.5]", .rangeVector, "foo[500ms]"),
        ("foo[1.5]", .rangeVector, "foo[1s500ms]"),
        ("foo[1e3]", .rangeVector, "foo[16m40s]"),
        ("foo[0x10]", .rangeVector, "foo[16s]"),
    ]
}
