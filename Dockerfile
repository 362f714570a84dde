# The program and the certificates of public authorities, nothing else: no shell, no
# user database. Build it with `docker build -t stint .`.
FROM node:22-bookworm AS console
WORKDIR /src/web
COPY web/package.json web/package-lock.json web/.npmrc ./
RUN npm ci --ignore-scripts
COPY web .
RUN npm run build

FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
COPY --from=console /src/internal/console/dist internal/console/dist
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w" -o /out/stint ./cmd/stint

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/stint /stint
USER 65532:65532
EXPOSE 8080 8081
ENTRYPOINT ["/stint"]
CMD ["serve"]
