from covenue.testing.privacy import VotedSum, privacy_conformance
from covenue_privacy_open.stage import OpenSum
from covenue_privacy_secagg.stage import SecAgg

TestOpenSum = privacy_conformance(OpenSum)
TestVotedSum = privacy_conformance(VotedSum)
TestSecAgg = privacy_conformance(SecAgg, whole=True)
