// Command abci_vectors prints ABCI messages as CometBFT itself writes them: `make abci-vectors`
// puts them into vectors/abci.json, which the tests read without Go.
//
// "whole" says that the message has only fields that Cairn's tables have, so that Cairn must write
// the same bytes; the others it must read.
package main

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"time"

	abci "github.com/cometbft/cometbft/abci/types"
	"github.com/cometbft/cometbft/crypto/ed25519"
	cryptoenc "github.com/cometbft/cometbft/crypto/encoding"
	"github.com/cometbft/cometbft/proto/tendermint/crypto"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	"github.com/cosmos/gogoproto/jsonpb"
	"github.com/cosmos/gogoproto/proto"
)

type vector struct {
	Name     string          `json:"name"`
	Kind     string          `json:"kind"`
	Whole    bool            `json:"whole"`
	Message  json.RawMessage `json:"message"`
	FrameHex string          `json:"frame_hex"`
}

var vectors []vector

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func add(name, kind string, whole bool, message proto.Message) {
	var frame, text bytes.Buffer
	check(abci.WriteMessage(message, &frame))
	marshaler := jsonpb.Marshaler{EnumsAsInts: true, OrigName: true}
	check(marshaler.Marshal(&text, message))
	vectors = append(vectors, vector{name, kind, whole, text.Bytes(), hex.EncodeToString(frame.Bytes())})
}

func request(name string, whole bool, value *abci.Request) { add(name, "request", whole, value) }

func response(name string, whole bool, value *abci.Response) { add(name, "response", whole, value) }

func fill(start byte, size int) []byte {
	filled := make([]byte, size)
	for i := range filled {
		filled[i] = start + byte(i)
	}
	return filled
}

func publicKey(seed byte) crypto.PublicKey {
	key, err := cryptoenc.PubKeyToProto(ed25519.GenPrivKeyFromSecret([]byte{seed}).PubKey())
	check(err)
	return key
}

var (
	moment    = time.Date(2026, 11, 21, 9, 30, 15, 123456789, time.UTC)
	validator = abci.Validator{Address: fill(7, 20), Power: 1 << 40}
	votes     = []abci.VoteInfo{
		{Validator: validator, BlockIdFlag: cmtproto.BlockIDFlagCommit},
		{Validator: abci.Validator{Address: fill(9, 20), Power: 1}, BlockIdFlag: cmtproto.BlockIDFlagAbsent},
	}
	misbehavior = []abci.Misbehavior{{
		Type: abci.MisbehaviorType_DUPLICATE_VOTE, Validator: validator,
		Height: 41, Time: moment, TotalVotingPower: 1 << 41,
	}}
	txs = [][]byte{fill(1, 3), {}, fill(2, 300)}
)

func requests() {
	request("echo", true, abci.ToRequestEcho("grüezi"))
	request("echo empty", true, abci.ToRequestEcho(""))
	request("flush", true, abci.ToRequestFlush())
	request("info", true, abci.ToRequestInfo(&abci.RequestInfo{
		Version: "0.40.0", BlockVersion: 11, P2PVersion: 9, AbciVersion: "2.0.0"}))
	request("info of zeros", true, abci.ToRequestInfo(&abci.RequestInfo{}))
	request("init_chain", true, abci.ToRequestInitChain(&abci.RequestInitChain{
		Time: moment, ChainId: "bank-0123456789", InitialHeight: 1,
		ConsensusParams: &cmtproto.ConsensusParams{
			Block: &cmtproto.BlockParams{MaxBytes: 4194304, MaxGas: -1}, Version: &cmtproto.VersionParams{App: 1}},
		Validators:    []abci.ValidatorUpdate{{PubKey: publicKey(1), Power: 10}, {PubKey: publicKey(2), Power: 0}},
		AppStateBytes: []byte("{}")}))
	request("init_chain with all parameters", false, abci.ToRequestInitChain(&abci.RequestInitChain{
		Time: moment, ChainId: "bank", InitialHeight: 1 << 40,
		ConsensusParams: &cmtproto.ConsensusParams{
			Block:     &cmtproto.BlockParams{MaxBytes: -1, MaxGas: 1},
			Evidence:  &cmtproto.EvidenceParams{MaxAgeNumBlocks: 100, MaxAgeDuration: time.Hour, MaxBytes: 9},
			Validator: &cmtproto.ValidatorParams{PubKeyTypes: []string{"ed25519"}},
			Version:   &cmtproto.VersionParams{App: 1}, Abci: &cmtproto.ABCIParams{VoteExtensionsEnableHeight: 5}}}))
	request("init_chain of zeros", true, abci.ToRequestInitChain(&abci.RequestInitChain{}))
	request("query", true, abci.ToRequestQuery(&abci.RequestQuery{Data: fill(0, 9), Path: "/row", Height: -1, Prove: true}))
	request("check_tx", true, abci.ToRequestCheckTx(&abci.RequestCheckTx{Tx: fill(0, 200), Type: abci.CheckTxType_Recheck}))
	request("commit", true, abci.ToRequestCommit())
	request("list_snapshots", true, abci.ToRequestListSnapshots(&abci.RequestListSnapshots{}))
	request("offer_snapshot", true, abci.ToRequestOfferSnapshot(&abci.RequestOfferSnapshot{
		Snapshot: &abci.Snapshot{Height: 1<<64 - 1, Format: 1, Chunks: 1<<32 - 1, Hash: fill(1, 32), Metadata: fill(3, 5)},
		AppHash:  fill(2, 32)}))
	request("load_snapshot_chunk", true, abci.ToRequestLoadSnapshotChunk(&abci.RequestLoadSnapshotChunk{Height: 12, Format: 1, Chunk: 3}))
	request("apply_snapshot_chunk", true, abci.ToRequestApplySnapshotChunk(&abci.RequestApplySnapshotChunk{Index: 3, Chunk: fill(0, 99), Sender: "ab12"}))
	request("prepare_proposal", true, abci.ToRequestPrepareProposal(&abci.RequestPrepareProposal{
		MaxTxBytes: 4000000, Txs: txs, Misbehavior: misbehavior, Height: 42, Time: moment,
		LocalLastCommit: abci.ExtendedCommitInfo{Round: 2, Votes: []abci.ExtendedVoteInfo{{
			Validator: validator, VoteExtension: fill(4, 4), ExtensionSignature: fill(5, 64), BlockIdFlag: cmtproto.BlockIDFlagNil}}},
		NextValidatorsHash: fill(1, 32), ProposerAddress: fill(7, 20)}))
	request("process_proposal", true, abci.ToRequestProcessProposal(&abci.RequestProcessProposal{
		Txs: txs, Misbehavior: misbehavior, Hash: fill(8, 32), Height: 42, Time: moment,
		ProposedLastCommit: abci.CommitInfo{Round: 1, Votes: votes},
		NextValidatorsHash: fill(1, 32), ProposerAddress: fill(7, 20)}))
	request("finalize_block", true, abci.ToRequestFinalizeBlock(&abci.RequestFinalizeBlock{
		Txs: txs, Misbehavior: misbehavior, Hash: fill(8, 32), Height: 42, Time: moment,
		DecidedLastCommit:  abci.CommitInfo{Votes: votes},
		NextValidatorsHash: fill(1, 32), ProposerAddress: fill(7, 20)}))
	request("finalize_block of zeros", true, abci.ToRequestFinalizeBlock(&abci.RequestFinalizeBlock{}))
	request("finalize_block before the epoch", true, abci.ToRequestFinalizeBlock(&abci.RequestFinalizeBlock{
		Time: time.Date(1969, 12, 31, 23, 59, 59, 999999999, time.UTC), Height: 1}))
	request("extend_vote", false, abci.ToRequestExtendVote(&abci.RequestExtendVote{Hash: fill(1, 32), Height: 7, Time: moment, Txs: txs}))
	request("verify_vote_extension", true, abci.ToRequestVerifyVoteExtension(&abci.RequestVerifyVoteExtension{
		Hash: fill(1, 32), ValidatorAddress: fill(7, 20), Height: 7, VoteExtension: fill(0, 3)}))
	request("insert_tx", true, abci.ToRequestInsertTx(&abci.RequestInsertTx{Tx: fill(0, 250)}))
	request("reap_txs", true, abci.ToRequestReapTxs(&abci.RequestReapTxs{MaxBytes: 1 << 20, MaxGas: 5}))
}

func responses() {
	response("exception", true, abci.ToResponseException("no"))
	response("echo", true, abci.ToResponseEcho("grüezi"))
	response("flush", true, abci.ToResponseFlush())
	response("info", true, abci.ToResponseInfo(&abci.ResponseInfo{
		Data: "cairn", Version: "1", AppVersion: 1, LastBlockHeight: 77, LastBlockAppHash: fill(3, 32)}))
	response("info of zeros", true, abci.ToResponseInfo(&abci.ResponseInfo{}))
	response("init_chain", true, abci.ToResponseInitChain(&abci.ResponseInitChain{
		ConsensusParams: &cmtproto.ConsensusParams{Block: &cmtproto.BlockParams{MaxBytes: 1, MaxGas: -1}},
		Validators:      []abci.ValidatorUpdate{{PubKey: publicKey(1), Power: 10}}, AppHash: fill(3, 32)}))
	response("query", true, abci.ToResponseQuery(&abci.ResponseQuery{
		Code: 1, Log: "not found", Key: fill(0, 4), Value: fill(1, 6), Height: 12, Codespace: "cairn"}))
	response("check_tx", true, abci.ToResponseCheckTx(&abci.ResponseCheckTx{Code: 32000, Log: "full", GasWanted: -1, Codespace: "cairn"}))
	response("commit", true, abci.ToResponseCommit(&abci.ResponseCommit{RetainHeight: 1 << 50}))
	response("commit of zeros", true, abci.ToResponseCommit(&abci.ResponseCommit{}))
	response("list_snapshots", true, abci.ToResponseListSnapshots(&abci.ResponseListSnapshots{
		Snapshots: []*abci.Snapshot{{Height: 5, Format: 1, Chunks: 2, Hash: fill(1, 32)}, {}}}))
	response("offer_snapshot", true, abci.ToResponseOfferSnapshot(&abci.ResponseOfferSnapshot{Result: abci.ResponseOfferSnapshot_REJECT_FORMAT}))
	response("load_snapshot_chunk", true, abci.ToResponseLoadSnapshotChunk(&abci.ResponseLoadSnapshotChunk{Chunk: fill(0, 200)}))
	response("apply_snapshot_chunk", true, abci.ToResponseApplySnapshotChunk(&abci.ResponseApplySnapshotChunk{
		Result: abci.ResponseApplySnapshotChunk_RETRY, RefetchChunks: []uint32{0, 1, 300}, RejectSenders: []string{"ab", ""}}))
	response("prepare_proposal", true, abci.ToResponsePrepareProposal(&abci.ResponsePrepareProposal{Txs: txs}))
	response("process_proposal", true, abci.ToResponseProcessProposal(&abci.ResponseProcessProposal{Status: abci.ResponseProcessProposal_REJECT}))
	response("extend_vote", true, abci.ToResponseExtendVote(&abci.ResponseExtendVote{VoteExtension: fill(0, 3)}))
	response("verify_vote_extension", true, abci.ToResponseVerifyVoteExtension(&abci.ResponseVerifyVoteExtension{Status: abci.ResponseVerifyVoteExtension_ACCEPT}))
	response("finalize_block", true, abci.ToResponseFinalizeBlock(&abci.ResponseFinalizeBlock{
		TxResults:             []*abci.ExecTxResult{{Data: fill(1, 32), GasUsed: 250}, {Code: 2, Data: fill(2, 32)}, {}},
		ValidatorUpdates:      []abci.ValidatorUpdate{{PubKey: publicKey(3), Power: 0}},
		ConsensusParamUpdates: &cmtproto.ConsensusParams{Version: &cmtproto.VersionParams{App: 2}},
		AppHash:               fill(3, 32)}))
	response("finalize_block with events", false, abci.ToResponseFinalizeBlock(&abci.ResponseFinalizeBlock{
		Events:    []abci.Event{{Type: "a", Attributes: []abci.EventAttribute{{Key: "k", Value: "v", Index: true}}}},
		TxResults: []*abci.ExecTxResult{{Code: 1, Log: "log", Info: "info", GasWanted: 1, GasUsed: -1, Codespace: "c"}}, AppHash: fill(3, 8)}))
	response("insert_tx", true, abci.ToResponseInsertTx(&abci.ResponseInsertTx{Code: 32000}))
	response("reap_txs", true, abci.ToResponseReapTxs(&abci.ResponseReapTxs{Txs: txs}))
}

func main() {
	requests()
	responses()
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", " ")
	check(encoder.Encode(map[string]any{
		"source":  "github.com/cometbft/cometbft v0.40.0, written by tools/abci_vectors",
		"vectors": vectors,
	}))
}
