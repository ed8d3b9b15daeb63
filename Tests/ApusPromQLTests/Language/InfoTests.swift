import ApusPromQL
import Testing

@Suite("info()") struct InfoTests {
    private func failures(_ script: String) -> [String] { ScriptRunner().run([UInt8](script.utf8), name: "info").failures }

    @Test("adds the data labels of target_info")
    func dataLabels() {
        let failures = failures(
            """
            load 1m
              m{job="a", instance="1", x="y"} 1 2 3
              m{job="a", instance="2"} 4 5 6
              target_info{job="a", instance="1", version="1.0", x="ignored"} 1 1 1
              build_info{job="a", instance="1", go="1.22"} 1 1 1

            eval instant at 1m info(m)
              m{job="a", instance="1", x="y", version="1.0"} 2
              m{job="a", instance="2"} 5

            # Only the labels asked for; a series that cannot have them is left out.
            eval instant at 1m info(m, {version=~".+"})
              m{job="a", instance="1", x="y", version="1.0"} 2

            eval instant at 1m info(m, {version=~".*"})
              m{job="a", instance="1", x="y", version="1.0"} 2
              m{job="a", instance="2"} 5

            eval instant at 1m info(m, {version="2.0"})

            # A label that is there already counts for the match, and stays as it is.
            eval instant at 1m info(m, {x="ignored"})
              m{job="a", instance="1", x="y"} 2

            eval instant at 1m info(m, {__name__="build_info"})
              m{job="a", instance="1", x="y", go="1.22"} 2
              m{job="a", instance="2"} 5

            # The labels of several info metrics together.
            eval instant at 1m info(m, {__name__=~"target_info|build_info"})
              m{job="a", instance="1", x="y", go="1.22", version="1.0"} 2
              m{job="a", instance="2"} 5

            eval instant at 1m info(m, {__name__!="target_info"})
              m{job="a", instance="1", x="y", go="1.22"} 2
              m{job="a", instance="2"} 5

            # Info series are not informed of.
            eval instant at 1m info({job="a", instance="1"})
              m{job="a", instance="1", x="y", version="1.0"} 2
              target_info{job="a", instance="1", version="1.0", x="ignored"} 1
              build_info{job="a", instance="1", go="1.22", version="1.0", x="ignored"} 1

            # A result without a name, and one without labels to join by.
            eval instant at 1m info(rate(m{instance="1"}[2m]))
              {job="a", instance="1", x="y", version="1.0"} 0.016666666

            eval instant at 1m info(vector(1))
              {} 1

            eval instant at 1m info(vector(1), {version=~".+"})
            """)
        #expect(failures == [])
    }

    @Test("of two info series of a target the newer one counts, at each step")
    func churn() {
        let failures = failures(
            """
            load 1m
              m{job="a", instance="1"} 1 1 1 1
              target_info{job="a", instance="1", version="1"} 1 1 _ _
              target_info{job="a", instance="1", version="2"} _ _ 1 1

            eval range from 0 to 3m step 1m info(m)
              m{job="a", instance="1", version="1"} 1 1 _ _
              m{job="a", instance="1", version="2"} _ _ 1 1

            # Info series are looked up where the samples are.
            eval instant at 3m info(m offset 3m)
              m{job="a", instance="1", version="1"} 1

            eval instant at 3m info(m @ 0)
              m{job="a", instance="1", version="1"} 1

            eval range from 0 to 3m step 1m info(m @ 0)
              m{job="a", instance="1", version="1"} 1 1 1 1
            """)
        #expect(failures == [])
    }

    @Test("says what collides")
    func conflicts() {
        let failures = failures(
            """
            load 1m
              m{job="a", instance="1"} 1
              target_info{job="a", instance="1", version="1"} 1
              target_info{job="a", instance="1", version="2"} 1
              b_info{job="a", instance="1", go="1"} 1
              c_info{job="a", instance="1", go="2"} 1

            eval instant at 0 info(m)
              expect fail regex: found duplicate series for info metric: existing \\{__name__="target_info", .*version="1"\\} @ 0, new

            eval instant at 0 info(m, {__name__=~"[bc]_info"})
              expect fail msg: conflicting label: go
            """)
        #expect(failures == [])
    }

    @Test("values that look like patterns are matched as they are")
    func patterns() {
        let failures = failures(
            """
            load 1m
              m{job="a|b", instance="h[0].x:9100"} 1
              target_info{job="a|b", instance="h[0].x:9100", version="1"} 1
              target_info{job="a", instance="h0.x:9100", version="2"} 1

            eval instant at 0 info(m)
              m{job="a|b", instance="h[0].x:9100", version="1"} 1
            """)
        #expect(failures == [])
    }
}
