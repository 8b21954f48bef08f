import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.atomic.AtomicBoolean;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueBytesStoreSupplier;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;

/** The peers' join on Kafka Streams: a store by subject with its changelog, at least once. */
public final class StreamsJoin {
  private static final ObjectMapper JSON = new ObjectMapper();

  /** Decides like plain.py: the first outcome, once. */
  private static final class Join implements Processor<String, byte[], String, byte[]> {
    private static final AtomicBoolean TOLD = new AtomicBoolean();
    private final Path first;
    private ProcessorContext<String, byte[]> context;
    private KeyValueStore<String, byte[]> states;

    Join(Path folder) {
      first = folder.resolve("first");
    }

    @Override
    public void init(ProcessorContext<String, byte[]> context) {
      this.context = context;
      states = context.getStateStore("state");
    }

    @Override
    public void process(Record<String, byte[]> record) {
      try {
        tell();
        join(record);
      } catch (IOException error) {
        throw new IllegalStateException(error);
      }
    }

    private void join(Record<String, byte[]> record) throws IOException {
      JsonNode event = JSON.readTree(record.value());
      byte[] before = states.get(record.key());
      ObjectNode state = before == null ? JSON.createObjectNode() : (ObjectNode) JSON.readTree(before);
      if (!take(state, event)) {
        return;
      }
      states.put(record.key(), JSON.writeValueAsBytes(state));
      if (state.has("wait_id") && state.has("outcome_id")) {
        byte[] score = JSON.writeValueAsBytes(score(record.key(), state));
        context.forward(record.withKey(state.get("run_id").asText()).withValue(score));
      }
    }

    /** Whether the event is news. */
    private boolean take(ObjectNode state, JsonNode event) {
      if (event.has("rule")) {
        if (state.has("wait_id")) {
          return false;
        }
        for (String field : List.of("wait_id", "run_id", "name")) {
          state.set(field, event.get(field));
        }
      } else {
        if (state.has("outcome_id")) {
          return false;
        }
        state.set("outcome_id", event.get("id"));
        state.set("value", event.get("data").get("merged"));
        state.set("time", event.get("time"));
      }
      return true;
    }

    private ObjectNode score(String subject, ObjectNode state) {
      ObjectNode score = JSON.createObjectNode();
      score.set("score_id", state.get("wait_id"));
      score.set("run_id", state.get("run_id"));
      score.set("name", state.get("name"));
      score.set("value", state.get("value"));
      score.put("reason", "outcome");
      score.put("subject", subject);
      score.set("wait_id", state.get("wait_id"));
      score.set("outcome_id", state.get("outcome_id"));
      score.set("occurred_at", state.get("time"));
      return score;
    }

    /** The moment of the first record, as place.py tells it: the monotonic clock and the CPU seconds. */
    private void tell() throws IOException {
      if (TOLD.getAndSet(true)) {
        return;
      }
      double at = System.nanoTime() / 1e9;
      double cpu = ProcessHandle.current().info().totalCpuDuration().orElseThrow().toNanos() / 1e9;
      Path part = first.resolveSibling("first.part");
      Files.writeString(part, "{\"at\": " + at + ", \"cpu\": " + cpu + "}");
      Files.move(part, first, StandardCopyOption.ATOMIC_MOVE);
    }
  }

  public static void main(String[] arguments) {
    String app = arguments[1];
    Path folder = Path.of(arguments[2]);
    Properties options = new Properties();
    options.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, arguments[0]);
    options.put(StreamsConfig.APPLICATION_ID_CONFIG, app);
    options.put(StreamsConfig.STATE_DIR_CONFIG, folder.resolve("streams").toString());
    options.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 1000);
    options.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, Integer.parseInt(arguments[4]));
    options.put(StreamsConfig.consumerPrefix("auto.offset.reset"), "earliest");
    KafkaStreams streams = new KafkaStreams(topology(app, folder, arguments[3].equals("rocksdb")), options);
    Runtime.getRuntime().addShutdownHook(new Thread(streams::close));
    streams.start();
  }

  private static Topology topology(String app, Path folder, boolean onDisk) {
    KeyValueBytesStoreSupplier store =
        onDisk ? Stores.persistentKeyValueStore("state") : Stores.inMemoryKeyValueStore("state");
    return new Topology()
        .addSource(
            "events",
            new StringDeserializer(),
            new ByteArrayDeserializer(),
            app + ".waits",
            app + ".outcomes")
        .addProcessor("join", () -> new Join(folder), "events")
        .addStateStore(
            Stores.keyValueStoreBuilder(store, Serdes.String(), Serdes.ByteArray()), "join")
        .addSink("scores", app + ".scores", new StringSerializer(), new ByteArraySerializer(), "join");
  }
}
